/** The number of a proof's inputs of each kind, from which its duration is predicted. */
import type { GroupWork } from "./group.js";

export interface Shape {
  /** Number of raw signatures. */
  readonly raws: number;
  /** Number of children: proofs that are folded into this one. */
  readonly children: number;
  /** log2 of the proof system's inverse rate. Default: 0, the backend's own. */
  readonly logInvRate?: number;
}

/** The smallest proof there is: one raw signature. Also the shape of a calibration proof. */
export const smallestShape: Shape = { raws: 1, children: 0 };

/** The shape of a proof of all of a group's inputs. */
export function shapeOf({
  raws,
  children,
  logInvRate,
}: Pick<GroupWork, "raws" | "children" | "logInvRate">): Shape {
  return atRate({ raws: raws.validators.length, children: children.length }, logInvRate);
}

/** The shape of a proof of as many inputs at another rate. */
export function atRate({ raws, children }: Shape, logInvRate: number): Shape {
  return logInvRate === 0 ? { raws, children } : { raws, children, logInvRate };
}

/** The shape of the smallest part of a group that may be proved: the whole if not `mayShed`. */
export function smallestPart(whole: Shape, mayShed: boolean): Shape {
  if (!mayShed || whole.raws + whole.children < 2) return whole;
  const smallest = whole.raws > 0 ? smallestShape : { raws: 0, children: 2 };
  return atRate(smallest, whole.logInvRate ?? 0);
}
