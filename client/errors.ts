/**
 * The client's only error class: every failed call throws an `AggregatorError`. Switch on its kind;
 * its message is for people, and may change.
 */
import { status } from "@grpc/grpc-js";
import { httpStatusIn, meaningOfHttpStatus } from "./http-status.js";

/**
 * What went wrong. The set is closed:
 * - `unavailable`: the server cannot be reached, the connection broke, or the stream fell behind; a
 *   retry may succeed
 * - `deadline_exceeded`: the call's own timeout passed
 * - `cancelled`: the caller's signal or `close()` ended the call
 * - `invalid_argument`: a field is invalid, as the client or the server found
 * - `not_found`: the server does not know the request
 * - `overloaded`: the server has no room for the request
 * - `unauthorized`: the policy does not allow the call, or the token is missing or invalid
 * - `unsupported`: the server does not have the method, or what the request asks for
 * - `node_id_in_use`: another process has this node's id, and started later
 * - `endpoint_is_balanced`: several services answer at one endpoint of an adapter
 * - `internal`: anything else
 */
export type AggregatorErrorKind =
  | "unavailable"
  | "deadline_exceeded"
  | "cancelled"
  | "invalid_argument"
  | "not_found"
  | "overloaded"
  | "unauthorized"
  | "unsupported"
  | "node_id_in_use"
  | "endpoint_is_balanced"
  | "internal";

const FINAL: ReadonlySet<AggregatorErrorKind> = new Set([
  "invalid_argument",
  "unauthorized",
  "unsupported",
  "node_id_in_use",
  "endpoint_is_balanced",
]);

/** Whether a retry of the same call would fail in the same way. */
export const isFinal = (kind: AggregatorErrorKind) => FINAL.has(kind);

const KIND_OF_STATUS: ReadonlyMap<number, AggregatorErrorKind> = new Map([
  [status.UNAVAILABLE, "unavailable"],
  [status.ABORTED, "unavailable"],
  [status.DEADLINE_EXCEEDED, "deadline_exceeded"],
  [status.CANCELLED, "cancelled"],
  [status.INVALID_ARGUMENT, "invalid_argument"],
  [status.OUT_OF_RANGE, "invalid_argument"],
  [status.NOT_FOUND, "not_found"],
  [status.RESOURCE_EXHAUSTED, "overloaded"],
  [status.UNAUTHENTICATED, "unauthorized"],
  [status.PERMISSION_DENIED, "unauthorized"],
  [status.FAILED_PRECONDITION, "node_id_in_use"],
  [status.UNIMPLEMENTED, "unsupported"],
]);

/**
 * The text of grpc-js for a call that ended without a status of the service: its stream was reset, or the
 * connection broke. Its status is INTERNAL, which the service also uses; nothing else distinguishes them.
 */
const RESET = /^(Received RST_STREAM with code \d|Write error: )/;

/** A failed call to the service. `cause` is the original error. */
export class AggregatorError extends Error {
  override readonly name = "AggregatorError";

  constructor(
    readonly kind: AggregatorErrorKind,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** Wraps anything that was thrown. Returns an `AggregatorError` unchanged. */
  static from(error: unknown): AggregatorError {
    if (error instanceof AggregatorError) return error;
    if (!(error instanceof Error)) return new AggregatorError("internal", String(error));
    const details = "details" in error && typeof error.details === "string" ? error.details : "";
    const httpStatus = httpStatusIn(details);
    if (httpStatus !== undefined) {
      const { kind, problem, todo } = meaningOfHttpStatus(httpStatus);
      return new AggregatorError(kind, `${problem}; ${todo}`, { cause: error });
    }
    const code = "code" in error && typeof error.code === "number" ? error.code : undefined;
    if (code === status.INTERNAL && RESET.test(details))
      return new AggregatorError("unavailable", error.message, { cause: error });
    const kind = code === undefined ? undefined : KIND_OF_STATUS.get(code);
    return new AggregatorError(kind ?? "internal", error.message, { cause: error });
  }
}

/** The same error with the endpoint's address before its message: a node may have several. */
export function errorAt(endpoint: string, error: unknown): AggregatorError {
  const { kind, message } = AggregatorError.from(error);
  return new AggregatorError(kind, `${endpoint}: ${message}`, { cause: error });
}

/** Ends a `switch` over every kind. The compiler fails when a kind is missing. Always throws. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
