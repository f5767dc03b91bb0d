/** Maps errors to status codes, whose numbers gRPC and Connect share. */
import { ConnectError } from "@connectrpc/connect";
import { Refusal } from "../errors.js";
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

/** Code and message for anything thrown; what is not a `Refusal` is only "internal error". */
export function statusOf(error: unknown): { code: number; message: string; isExpected: boolean } {
  if (error instanceof Refusal) {
    return { code: codes[error.kind], message: error.message, isExpected: true };
  }
  return { code: INTERNAL, message: "internal error", isExpected: false };
}

/** The code's name in metrics. */
export function codeNameOf(error: unknown): CallCode {
  return error instanceof Refusal ? error.kind : "internal";
}

/** Like `statusOf`, as an error of connect-es, which writes it in the caller's protocol. */
export function connectErrorOf(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  const { code, message } = statusOf(error);
  return new ConnectError(message, code);
}
