/** Writes what connect answers to the caller, with gRPC's own spelling of a status message. */
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { HttpResponse } from "../net/http-listener.js";

/**
 * Resolves when all is handed on, or the caller is gone. One piece of the body is written at a time,
 * so that a slow reader holds one.
 */
export function writeAnswer(
  answer: UniversalServerResponse,
  response: HttpResponse,
): Promise<void> {
  return universalResponseToNodeResponse({ ...answer, body: bodyOf(answer) }, response);
}

/** Connect fills the trailers in while the body is read: they are complete at its end. */
async function* bodyOf({ body, trailer }: UniversalServerResponse): AsyncGenerator<Uint8Array> {
  yield* body ?? [];
  const message = trailer?.get("grpc-message");
  if (message != null) trailer?.set("grpc-message", recoded(message));
}

/**
 * A message encoded as gRPC asks: only `%` and what is not printable ASCII. Connect encodes more,
 * and grpc-js leaves some of that encoded, such as colons. HTTP/2 takes no space at either end.
 */
function recoded(message: string): string {
  const toEncode = /[^\x20-\x24\x26-\x7e]+|^ +| +$/g;
  return decodeURIComponent(message).replace(toEncode, encodeURIComponent);
}
