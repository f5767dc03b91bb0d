/** Thrown for a message that no correct sender would send, or of a version that is not ours. */
export class FleetMessageError extends Error {
  override readonly name = "FleetMessageError";

  /**
   * @param field path of the field at fault, such as `announcement.cost.log_ms`
   * @param detail what is wrong with its value
   * @param otherVersion the version of the sender, when that is the reason; else undefined
   */
  constructor(
    readonly field: string,
    detail: string,
    readonly otherVersion?: number,
  ) {
    super(`${field}: ${detail}`);
  }
}
