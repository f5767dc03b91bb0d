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
/** Most characters of a library's error, which may quote a whole value. */
export const LIBRARY_ERROR_LENGTH_MAX = 500;

/**
 * A text in quotes, as an error shows it. A long one is cut: clients and proxies refuse answers
 * whose headers exceed a few kilobytes, and gRPC has the message in a header. Half of a surrogate
 * pair is shown as an escape.
 */
export function quoted(text: string): string {
  return JSON.stringify(startOf(text, QUOTED_LENGTH_MAX));
}

/** The start of a long text, or the whole of a short one; well-formed. */
export function cut(text: string, lengthMax = QUOTED_LENGTH_MAX): string {
  return wellFormed(startOf(text, lengthMax));
}

/**
 * The text with a replacement character for each half of a surrogate pair, which JSON can contain:
 * it has no form in UTF-8, and `encodeURIComponent` throws.
 */
export function wellFormed(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, "\uFFFD");
}

/** Does not cut a character in two. */
function startOf(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  return `${text.slice(0, lengthMax).replace(/[\uD800-\uDBFF]$/, "")}…`;
}

/** The default of a `switch`: does not compile when a case is missing. Throws. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
