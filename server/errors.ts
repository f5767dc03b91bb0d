/** The one error class for refusals; `rpc/status.ts` maps its kinds to status codes. */
export type RefusalKind =
  | "invalid_argument"
  | "deadline_exceeded"
  | "not_found"
  | "permission_denied"
  | "resource_exhausted"
  | "unimplemented"
  | "unavailable"
  | "unauthenticated";

/** A call that gets an error status; the message is for the client. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  /** @param field path of the invalid field, for example `snapshot.groups[1].message`; or empty */
  constructor(
    readonly kind: RefusalKind,
    readonly field: string,
    detail: string,
  ) {
    super(field === "" ? detail : `${field}: ${detail}`);
  }
}

export function invalid(field: string, detail: string): Refusal {
  return new Refusal("invalid_argument", field, detail);
}

export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
