/** The number of a proof's inputs of each kind, from which its duration is predicted. */
import type { GroupWork } from "./group.js";

export interface Shape {
  /** Number of raw signatures. */
  readonly raws: number;
  /** Number of children: proofs that are folded into this one. */
  readonly children: number;
}

/** The smallest proof there is: one raw signature. Also the shape of a calibration proof. */
export const smallestShape: Shape = { raws: 1, children: 0 };

/** The shape of a proof of all of a group's inputs. */
export function shapeOf({ raws, children }: Pick<GroupWork, "raws" | "children">): Shape {
  return { raws: raws.validators.length, children: children.length };
}

/** The shape of the smallest part of a group that may be proved: the whole if not `mayShed`. */
export function smallestPart(whole: Shape, mayShed: boolean): Shape {
  if (!mayShed || whole.raws + whole.children < 2) return whole;
  return whole.raws > 0 ? smallestShape : { raws: 0, children: 2 };
}
