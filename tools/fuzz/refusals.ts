/** A refusal is typed, and names the field where it is about one. */
import { Refusal } from "../../server/errors.js";
import type { RefusalKind } from "../../server/errors.js";
import { holds } from "./engine/target.js";

const FIELD = /^[a-z_]+(\[\d+\])?(\.[a-z_]+(\[\d+\])?)*$/;

/** Rethrows what is no refusal: nothing else may be thrown. */
export function checkRefusal(error: unknown, kinds: readonly RefusalKind[]): void {
  if (!(error instanceof Refusal)) throw error;
  holds(kinds.includes(error.kind), `refusals are ${kinds.join(", ")}, not ${error.kind}`);
  holds(error.message !== "", "a refusal says why");
  if (error.field !== "") holds(FIELD.test(error.field), `${error.field} is no field's path`);
}
