/** Why a call is refused; `rpc/status.ts` maps each kind to a status code. */
export type RefusalKind =
  | "invalid_argument"
  | "deadline_exceeded"
  | "not_found"
  | "permission_denied"
  | "resource_exhausted"
  | "failed_precondition"
  | "aborted"
  | "unimplemented"
  | "unavailable"
  | "unauthenticated";

/** Thrown to refuse a call: the client gets an error status, with this message. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /**
   * @param field path of the request's field at fault, such as `snapshot.groups[1].message`; empty
   *   when no field is
   */
  constructor(
    readonly kind: RefusalKind,
    readonly field: string,
    detail: string,
  ) {
    super(field === "" ? detail : `${field}: ${detail}`);
  }
}

/** The refusal of an invalid request: @param detail says what is wrong with the field's value */
export function invalid(field: string, detail: string): Refusal {
  return new Refusal("invalid_argument", field, detail);
}

/** Most characters of a value that an error quotes. */
const QUOTED_LENGTH_MAX = 100;

/**
 * A text in quotes, as an error shows it. A long one is cut: clients and proxies refuse answers
 * whose headers exceed a few kilobytes, and gRPC has the message in a header.
 */
export function quoted(text: string): string {
  return JSON.stringify(cut(text));
}

/** The start of a long text; a text of up to 100 characters as it is. */
export function cut(text: string): string {
  return text.length <= QUOTED_LENGTH_MAX ? text : `${text.slice(0, QUOTED_LENGTH_MAX)}…`;
}

/** The default of a `switch`: does not compile when a case is missing. Throws. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
