/** Maps errors to status codes, whose numbers gRPC and Connect share. */
import { ConnectError } from "@connectrpc/connect";
import { cut, LIBRARY_ERROR_LENGTH_MAX, Refusal, wellFormed } from "../errors.js";
import type { RefusalKind } from "../errors.js";
import type { CallCode } from "../reasons.js";

const codes: Record<RefusalKind, number> = {
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
};
const INTERNAL = 13;
const kinds = new Map(Object.entries(codes).map(([kind, code]) => [code, kind as RefusalKind]));

/** Code and message for anything thrown; what is not a `Refusal` is only "internal error". */
export function statusOf(error: unknown): { code: number; message: string; isExpected: boolean } {
  if (error instanceof Refusal) {
    return { code: codes[error.kind], message: error.message, isExpected: true };
  }
  // connect-es refuses a message of a stream that it cannot read.
  if (error instanceof ConnectError) {
    const message = cut(error.rawMessage, LIBRARY_ERROR_LENGTH_MAX);
    return { code: error.code, message, isExpected: true };
  }
  return { code: INTERNAL, message: "internal error", isExpected: false };
}

/** The code's name in metrics. */
export function codeNameOf(error: unknown): CallCode {
  return kinds.get(statusOf(error).code) ?? "internal";
}

/**
 * Like `statusOf`, as an error of connect-es, which writes it in the caller's protocol. connect-es
 * throws at a text that is not well-formed, and the caller would get a reset.
 */
export function connectErrorOf(error: unknown): ConnectError {
  const { code, message } = statusOf(error);
  if (error instanceof ConnectError && error.rawMessage === message) return error;
  return new ConnectError(wellFormed(message), code);
}
