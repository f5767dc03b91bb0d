/** One group of a simulated snapshot, and the shape of its proof. */
import type { Shape } from "../../../server/work/shape.js";

/** One group as submitted; raws and children name validators that do not overlap. */
export interface GroupSpec {
  /** Of the attestation data, 64 hex digits. */
  root: string;
  /** In which it is submitted: the device's speed drifts with it. */
  slot: number;
  raws: readonly number[];
  children: readonly (readonly number[])[];
}

/** The shape of a proof of the whole group. */
export function shapeOfGroup({ raws, children }: GroupSpec): Shape {
  return { raws: raws.length, children: children.length };
}
