/** Writes what connect answers to the caller: one piece at a time, so that slow readers hold one. */
import type { Writable } from "node:stream";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { HttpResponse } from "../net/http-listener.js";

/** Resolves when all is handed on, or the caller is gone. */
export async function writeAnswer(
  { status, header, body, trailer }: UniversalServerResponse,
  response: HttpResponse,
): Promise<void> {
  let isClosed = false;
  response.once("close", () => (isClosed = true));
  // 'close' follows, and is what counts.
  response.on("error", () => undefined);
  const stream: Writable = response;
  response.writeHead(status, Object.fromEntries(header ?? []));
  for await (const piece of body ?? []) {
    if (isClosed) return;
    if (!stream.write(piece)) await drained(response);
  }
  if (isClosed) return;
  if (trailer !== undefined) response.addTrailers(trailersOf(trailer));
  response.end();
}

/** Resolves when there is room for more, or the response is closed. */
function drained(response: HttpResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      response.off("drain", settle).off("close", settle);
      resolve();
    };
    response.on("drain", settle).on("close", settle);
  });
}

function trailersOf(trailer: Headers): Record<string, string> {
  const trailers = Object.fromEntries(trailer);
  const message = trailers["grpc-message"];
  return message === undefined ? trailers : { ...trailers, "grpc-message": recoded(message) };
}

/**
 * A message encoded as gRPC asks: only `%` and what is not printable ASCII. Connect encodes more,
 * and grpc-js leaves some of that encoded, such as colons. HTTP/2 takes no space at either end.
 */
function recoded(message: string): string {
  const toEncode = /[^\x20-\x24\x26-\x7e]+|^ +| +$/g;
  return decodeURIComponent(message).replace(toEncode, encodeURIComponent);
}
