/**
 * One typed call of the operator's service, `lean.aggregator.admin.v1`, over grpc-js. Operators
 * call rarely, so each call has a connection of its own and nothing is left to close.
 */
import type { MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { grpcMethodDefinition } from "../../proto/grpc-js.js";
import { AggregatorError } from "../errors.js";
import type { TokenSource } from "./token.js";
import { checkTokenIsSafe, metadataWith } from "./token.js";

const METHODS = AdminService.method;
type Methods = typeof METHODS;

export type AdminMethod = keyof Methods;
export type AdminRequest<M extends AdminMethod> = MessageInitShape<Methods[M]["input"]>;
export type AdminResponse<M extends AdminMethod> = MessageShape<Methods[M]["output"]>;

const CALL_TIMEOUT_MS = 5000;

export interface AdminCallOptions {
  /** For the whole call; default 5 s, so give more where the request asks for a wait. */
  timeoutMs?: number;
  /** Default: none. */
  token?: TokenSource;
}

/**
 * @param address of the operator's listener, `host:port` or `unix:/path/to/socket`
 * @throws AggregatorError and nothing else; `not_found` for a device or session that is not there
 */
export async function callAdmin<M extends AdminMethod>(
  address: string,
  method: M,
  request: AdminRequest<M>,
  { timeoutMs = CALL_TIMEOUT_MS, token }: AdminCallOptions = {},
): Promise<AdminResponse<M>> {
  const { input } = METHODS[method];
  const definition = grpcMethodDefinition<Methods[M]["input"], Methods[M]["output"]>(
    METHODS[method],
  );
  const client = new Client(address, credentials.createInsecure());
  try {
    if (token !== undefined) checkTokenIsSafe(address, false);
    const metadata = metadataWith(token);
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        create<Methods[M]["input"]>(input, request),
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (response === undefined) reject(error ?? new Error("no response and no error"));
          else resolve(response);
        },
      );
    });
  } catch (error) {
    throw AggregatorError.from(error);
  } finally {
    client.close();
  }
}
