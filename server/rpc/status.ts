/** From refusals to status codes, for both stacks; the numbers are gRPC's and Connect's alike. */
import { ConnectError } from "@connectrpc/connect";
import { Refusal } from "../errors.js";
import type { RefusalKind } from "../errors.js";

const codes: Record<RefusalKind, number> = {
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  permission_denied: 7,
  resource_exhausted: 8,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
};
const INTERNAL = 13;

/** Code and message of anything thrown; what is not a refusal is told as internal, unexplained. */
export function statusOf(error: unknown): { code: number; message: string; isExpected: boolean } {
  if (error instanceof Refusal) {
    return { code: codes[error.kind], message: error.message, isExpected: true };
  }
  return { code: INTERNAL, message: "internal error", isExpected: false };
}

/** The same as connect throws it. */
export function connectErrorOf(error: unknown): ConnectError {
  const { code, message } = statusOf(error);
  return new ConnectError(message, code);
}
