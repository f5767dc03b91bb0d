/** Why a lane of a lane host that is heard is not used. */
import { limits } from "../../limits.js";

/** `why`: for people. */
export interface Refusal {
  readonly why: string;
  readonly state: "left_out" | "distrusted";
}

/**
 * @param system the proof system of the lane; undefined while it is not known
 * @param used those of the lanes of its host that are used
 * @param distrust why nothing of the host is used; undefined: it is trusted
 */
export function refusalOf(
  system: string | undefined,
  used: readonly string[],
  distrust: string | undefined,
): Refusal | undefined {
  if (distrust !== undefined) return { why: distrust, state: "distrusted" };
  if (system === undefined || used.includes(system)) return undefined;
  const { hostSystemsMax } = limits;
  if (new Set(used).size < hostSystemsMax) return undefined;
  return { why: `its devices have more than ${hostSystemsMax} proof systems`, state: "left_out" };
}
