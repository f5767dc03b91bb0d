/**
 * Finds the error that an answer of connect-es carries, in each protocol. A handler does not see each one:
 * its answer is encoded after it has returned, and an answer that cannot be encoded becomes an error.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  endStreamFlag,
  endStreamFromJson,
  errorFromJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse } from "@connectrpc/connect/protocol-grpc-web";

/** Bytes before a message of a stream: flags, and its length. */
const ENVELOPE_BYTES = 5;

/** The answer; `failed` is called with its error, if it has one, before the caller gets that. */
export function watchedAnswer(
  answer: UniversalServerResponse,
  failed: (error: ConnectError) => void,
): UniversalServerResponse {
  const { body } = answer;
  if (body === undefined) return answer;
  const note = (result: IteratorResult<Uint8Array>) => {
    const error = errorIn(answer, result.done === true ? undefined : result.value);
    if (error !== undefined) failed(error);
    return result;
  };
  return { ...answer, body: watched(body, note) };
}

/**
 * The chunks of the body, each passed to `note`, and its end. No generator: the one inside has to hear of the
 * errors of the writer.
 */
function watched(
  body: AsyncIterable<Uint8Array>,
  note: (result: IteratorResult<Uint8Array>) => IteratorResult<Uint8Array>,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const chunks = body[Symbol.asyncIterator]();
      const { throw: fail, return: end } = chunks;
      return {
        next: async () => note(await chunks.next()),
        ...(fail && { throw: (error: unknown) => fail.call(chunks, error) }),
        ...(end && { return: (value: unknown) => end.call(chunks, value) }),
      };
    },
  };
}

/** @param chunk of the body: a message of a stream, or the whole answer; undefined at the end */
function errorIn(
  { status, header, trailer }: UniversalServerResponse,
  chunk: Uint8Array | undefined,
): ConnectError | undefined {
  const type = header?.get("content-type") ?? "";
  const isGrpcWeb = type.startsWith("application/grpc-web");
  if (chunk === undefined) {
    const isGrpc = type.startsWith("application/grpc") && !isGrpcWeb;
    return isGrpc && trailer !== undefined ? findTrailerError(trailer) : undefined;
  }
  const has = (flag: number) => ((chunk[0] ?? 0) & flag) !== 0;
  const message = () => chunk.subarray(ENVELOPE_BYTES);
  if (isGrpcWeb) return has(trailerFlag) ? findTrailerError(trailerParse(message())) : undefined;
  if (type.startsWith("application/connect+")) {
    return has(endStreamFlag) ? endStreamFromJson(message()).error : undefined;
  }
  const isUnary = type === "application/json" && status !== 200;
  if (!isUnary) return undefined;
  return errorFromJsonBytes(chunk, undefined, new ConnectError(`status ${status}`, Code.Internal));
}
