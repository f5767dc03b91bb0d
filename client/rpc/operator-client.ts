/**
 * Typed calls of the operator's service, `lean.aggregator.admin.v1`. Operators call rarely, so each
 * call opens and closes a connection of its own.
 */
import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { StreamActivityResponse } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorError } from "../errors.js";
import { openChannel } from "./channel.js";
import { encodeRequest, pathOf, responseDecoder } from "./method-codec.js";
import type { TokenSource } from "./token.js";
import { metadataWith } from "./token.js";
import { callUnary, onOpenChannel } from "./unary-call.js";

const METHODS = AdminService.method;
type Methods = typeof METHODS;

/** The calls with one answer. */
export type AdminMethod = Exclude<keyof Methods, "streamActivity">;
export type AdminRequest<M extends AdminMethod> = MessageInitShape<Methods[M]["input"]>;
export type AdminResponse<M extends AdminMethod> = MessageShape<Methods[M]["output"]>;

/** The service answers within 5 s, also that a lane has not confirmed a command; and its answer takes time. */
const CALL_TIMEOUT_MS = 7000;

export interface AdminCallOptions {
  /**
   * Time for the whole call, in milliseconds. Default 7000. For a request with `waitMs`, pass that
   * much more.
   */
  timeoutMs?: number;
  /** The caller's token. Default: none. */
  token?: TokenSource;
}

/**
 * Calls `method` at the operator's listener and returns the response.
 *
 * @param address the operator's listener: `host:port` or `unix:/path/to/socket`
 * @throws AggregatorError and nothing else; `not_found` for an unknown device or session
 */
export async function callAdmin<M extends AdminMethod>(
  address: string,
  method: M,
  request: AdminRequest<M>,
  { timeoutMs = CALL_TIMEOUT_MS, token }: AdminCallOptions = {},
): Promise<AdminResponse<M>> {
  const schema: Methods[M] = METHODS[method];
  try {
    const client = openChannel({ address, ...(token !== undefined && { token }) });
    try {
      const call = {
        path: pathOf(schema),
        request: encodeRequest(schema, request),
        decode: responseDecoder(schema),
        metadata: metadataWith(token),
      };
      return await callUnary(client, call, { timeoutMs });
    } finally {
      client.close();
    }
  } catch (error) {
    throw AggregatorError.from(error);
  }
}

export interface StreamActivityOptions {
  /** The caller's token. Default: none. */
  token?: TokenSource;
  /** Ends the stream once it has sent what is kept. Default: false, it goes on. */
  noFollow?: boolean;
  /** When it aborts, the stream ends without an error. */
  signal: AbortSignal;
}

/**
 * Yields what happens in the service, as `StreamActivity` sends it.
 *
 * @param address the operator's listener: `host:port` or `unix:/path/to/socket`
 * @throws AggregatorError and nothing else
 */
export async function* streamActivity(
  address: string,
  { token, noFollow = false, signal }: StreamActivityOptions,
): AsyncGenerator<StreamActivityResponse> {
  const schema = METHODS.streamActivity;
  try {
    const client = openChannel({ address, ...(token !== undefined && { token }) });
    const stream = onOpenChannel(() =>
      client.makeServerStreamRequest(
        pathOf(schema),
        (bytes: Buffer) => bytes,
        responseDecoder(schema),
        encodeRequest(schema, { noFollow }),
        metadataWith(token),
      ),
    );
    // Cancelling emits an error after the loop has ended. Without a listener it would be uncaught.
    stream.on("error", () => undefined);
    const cancel = () => stream.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      for await (const answer of stream as AsyncIterable<StreamActivityResponse>) yield answer;
    } finally {
      signal.removeEventListener("abort", cancel);
      stream.cancel();
      client.close();
    }
  } catch (error) {
    if (!signal.aborted) throw AggregatorError.from(error);
  }
}
