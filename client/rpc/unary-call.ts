/** Makes a unary call on a grpc-js channel, for all such calls of the client and the commands. */
import type { CallOptions, Client, Metadata } from "@grpc/grpc-js";
import { AggregatorError } from "../errors.js";

/** Most milliseconds of a timer of Node, 24.8 days: it fires a longer one at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

export interface CallTimeout {
  /**
   * Time for the whole call, in milliseconds. More than 24.8 days, and `Infinity`, mean no limit.
   * Default: no limit.
   */
  timeoutMs?: number;
  /** When it aborts, the call ends as `cancelled`. Default: none. */
  signal?: AbortSignal;
}

export interface UnaryCall<Response> {
  /** Path of the method, for example `/grpc.health.v1.Health/Check`. */
  path: string;
  /** The request, encoded. */
  request: Buffer;
  decode: (response: Buffer) => Response;
  metadata: Metadata;
}

/** Makes the call, and resolves with the decoded response. Rejects with `AggregatorError` only. */
export async function callUnary<Response>(
  client: Client,
  { path, request, decode, metadata }: UnaryCall<Response>,
  { timeoutMs, signal }: CallTimeout = {},
): Promise<Response> {
  if (signal?.aborted) throw new AggregatorError("cancelled", "aborted before the call");
  const options = callOptions(timeoutMs);
  let cancel = (): void => undefined;
  try {
    return await new Promise<Response>((resolve, reject) => {
      const call = onOpenChannel(() =>
        client.makeUnaryRequest(
          path,
          (bytes: Buffer) => bytes,
          decode,
          request,
          metadata,
          options,
          (error, response) => {
            if (error !== null) reject(AggregatorError.from(error));
            else if (response !== undefined) resolve(response);
            else reject(new AggregatorError("internal", "the call ended without a response"));
          },
        ),
      );
      cancel = () => call.cancel();
      signal?.addEventListener("abort", cancel, { once: true });
    });
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

function callOptions(timeoutMs = Infinity): CallOptions {
  if (Number.isNaN(timeoutMs)) {
    throw new AggregatorError("invalid_argument", "timeoutMs is NaN, expected milliseconds");
  }
  // grpc-js writes a deadline of 1,157 days or more as an invalid header, or throws.
  return timeoutMs > TIMER_MS_MAX ? {} : { deadline: Date.now() + Math.max(0, timeoutMs) };
}

/**
 * Starts a call. Throws kind `cancelled` when the channel is closed, where grpc-js throws `Error`.
 */
export function onOpenChannel<Call>(start: () => Call): Call {
  try {
    return start();
  } catch (cause) {
    throw new AggregatorError("cancelled", "the client is closed", { cause });
  }
}
