/** What the HTTP edge answers by itself: plain text, refused methods, and calls nobody serves. */
import type { EdgeRequest, EdgeResponse } from "./call-admission.js";
import { Refusal } from "../errors.js";
import { connectErrorOf } from "./status.js";

export function answerText(
  response: EdgeResponse,
  status: number,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "text/plain", ...headers });
  response.end(body);
}

export function refuseMethod(response: EdgeResponse, allow: string): void {
  answerText(response, 405, `method not allowed: use ${allow}\n`, { allow });
}

/** A page that its caller may not read, or not so often. Throws what is no such refusal. */
export function answerDenied(response: EdgeResponse, error: unknown): void {
  if (!(error instanceof Refusal)) throw error;
  const isUnknown = error.kind === "unauthenticated";
  const headers: Record<string, string> = isUnknown ? { "www-authenticate": "Bearer" } : {};
  const status = isUnknown ? 401 : error.kind === "resource_exhausted" ? 429 : 403;
  answerText(response, status, `${error.message}\n`, headers);
}

/** A call of a service or method that is not here, answered in the caller's own protocol. */
export function answerUnimplemented(path: string, request: EdgeRequest, response: EdgeResponse) {
  const type = request.headers["content-type"] ?? "";
  const error = connectErrorOf(new Refusal("unimplemented", "", `${path} is not served here`));
  const status = { "grpc-status": String(error.code), "grpc-message": encodeURI(error.rawMessage) };
  if (type.startsWith("application/grpc-web")) {
    response.writeHead(200, { "content-type": type, ...status });
    response.end();
  } else if (type.startsWith("application/grpc")) {
    response.writeHead(200, { "content-type": type });
    response.addTrailers(status);
    response.end();
  } else {
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ code: "unimplemented", message: error.rawMessage }));
  }
}
