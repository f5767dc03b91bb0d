/**
 * The client's one error class. Every failure of a call becomes an `AggregatorError` with a kind
 * to switch on; message text is for people.
 */
import { status } from "@grpc/grpc-js";

/**
 * What went wrong, closed set:
 * - `unavailable`: not reachable, or the connection broke; a retry may succeed
 * - `deadline_exceeded`: the call's own timeout passed
 * - `cancelled`: the caller's signal or `close()` ended the call
 * - `invalid_argument`: broken structure, refused here or by the server
 * - `not_found`: the session is not known (any more)
 * - `overloaded`: the server has no room for the request
 * - `unauthorized`: the principal may not do this
 * - `unsupported`: wrong revision, or a method that this server does not have
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
  | "internal";

const KIND_OF_STATUS: ReadonlyMap<number, AggregatorErrorKind> = new Map([
  [status.UNAVAILABLE, "unavailable"],
  [status.DEADLINE_EXCEEDED, "deadline_exceeded"],
  [status.CANCELLED, "cancelled"],
  [status.INVALID_ARGUMENT, "invalid_argument"],
  [status.OUT_OF_RANGE, "invalid_argument"],
  [status.NOT_FOUND, "not_found"],
  [status.RESOURCE_EXHAUSTED, "overloaded"],
  [status.UNAUTHENTICATED, "unauthorized"],
  [status.PERMISSION_DENIED, "unauthorized"],
  [status.FAILED_PRECONDITION, "unsupported"],
  [status.UNIMPLEMENTED, "unsupported"],
]);

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

  /** Maps anything that was thrown; an `AggregatorError` passes through as it is. */
  static from(error: unknown): AggregatorError {
    if (error instanceof AggregatorError) return error;
    if (!(error instanceof Error)) return new AggregatorError("internal", String(error));
    const code = "code" in error && typeof error.code === "number" ? error.code : undefined;
    const kind = code === undefined ? undefined : KIND_OF_STATUS.get(code);
    return new AggregatorError(kind ?? "internal", error.message, { cause: error });
  }
}
