/** Writes the answer of connect-es to the caller, with the status message encoded as gRPC asks. */
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { HttpResponse } from "../../net/http-listener.js";

/**
 * Writes the answer, one chunk of the body at a time, so that a slow reader keeps only one in
 * memory. Resolves when the response is closed. Rejects when the body fails, or the caller leaves
 * before the last write.
 */
export async function writeAnswer(
  answer: UniversalServerResponse,
  response: HttpResponse,
): Promise<void> {
  // connect-node awaits the event `end` after the last write, which Node's responses do not emit.
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  const written = universalResponseToNodeResponse({ ...answer, body: bodyOf(answer) }, response);
  await Promise.race([written, closed]);
}

/** The body; encodes the status message at its end, where connect-es has filled the trailers in. */
async function* bodyOf({ body, trailer }: UniversalServerResponse): AsyncGenerator<Uint8Array> {
  yield* body ?? [];
  const message = trailer?.get("grpc-message");
  if (message != null) trailer?.set("grpc-message", encodeStatusMessage(message));
}

/**
 * Encodes a status message as gRPC asks: only `%` and what is not printable ASCII. connect-es
 * encodes more, such as colons, and grpc-js does not decode all of it. Spaces at both ends are
 * encoded too: HTTP/2 forbids them in a header.
 */
export function encodeStatusMessage(message: string): string {
  const toEncode = /[^\x20-\x24\x26-\x7e]+/g;
  const encoded = decodeURIComponent(message).replace(toEncode, encodeURIComponent);
  const { length } = encoded.trimStart();
  const inner = encoded.trim();
  return "%20".repeat(encoded.length - length) + inner + "%20".repeat(length - inner.length);
}
