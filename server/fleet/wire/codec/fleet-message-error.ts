/** Thrown for a message that no correct sender would send, or of a version that is not ours. */
export class FleetMessageError extends Error {
  override readonly name = "FleetMessageError";

  /**
   * @param field path of the field at fault, such as `announcement.cost.log_ms`; empty when the
   *   message as a whole is
   * @param detail what is wrong with its value
   * @param otherVersion the version of the sender, when that is the reason; else undefined
   */
  constructor(
    readonly field: string,
    readonly detail: string,
    readonly otherVersion?: number,
  ) {
    super(field === "" ? detail : `${field}: ${detail}`);
  }
}

/**
 * Thrown for a message of a version beside ours whose kind is not known: it has to be ignored, and its
 * sender is not at fault.
 */
export class UnknownKindError extends FleetMessageError {}

/** The same error, seen from the message that has the field's message in its field `outer`. */
export function inField(outer: string, { field, detail, otherVersion }: FleetMessageError) {
  const path = field === "" ? outer : `${outer}.${field}`;
  return new FleetMessageError(path, detail, otherVersion);
}

/** Throws the error for the value that is being read; its message adds the name of the field. */
export function garbled(detail: string): never {
  throw new FleetMessageError("", detail);
}
