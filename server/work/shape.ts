/** The number of a proof's inputs of each kind, from which its duration is predicted. */
import type { JobKind } from "../../native/addon.js";
import type { SentWork } from "./group.js";
import { inputsOf } from "./group.js";

export interface Shape {
  /** Number of raw signatures. */
  readonly raws: number;
  /** Number of children: proofs that are folded into this one. */
  readonly children: number;
  /** log2 of the proof system's inverse rate. Default: 0, the backend's own. */
  readonly logInvRate?: number;
  /** Of a merge, number of its messages. Default: none, a fold. */
  readonly messages?: number;
}

/** Messages that a proof of this shape merges; 0: it is a fold. */
export function messagesOf({ messages = 0 }: Pick<Shape, "messages">): number {
  return messages;
}

/** Whether a proof of this shape is a fold or a merge. */
export function kindOf({ messages }: Pick<Shape, "messages">): JobKind {
  return messages === undefined ? "fold" : "merge";
}

/** The smallest proof there is: one raw signature. Also the shape of a calibration proof. */
export const smallestShape: Shape = { raws: 1, children: 0 };

/** The shape of a proof of all of a group's inputs. */
export function shapeOf(work: SentWork): Shape {
  const { raws: all, children } = inputsOf(work);
  const raws = all.reduce((sum, { validators }) => sum + validators.length, 0);
  const shape = { raws, children: children.length };
  const whole = work.kind === "fold" ? shape : { ...shape, messages: work.components.length };
  return atRate(whole, work.logInvRate);
}

/** The shape of a proof of the same inputs at another rate. */
export function atRate({ raws, children, messages }: Shape, logInvRate: number): Shape {
  const rate = logInvRate === 0 ? {} : { logInvRate };
  return messages === undefined
    ? { raws, children, ...rate }
    : { raws, children, messages, ...rate };
}

/**
 * The shape of the smallest part of a group that may be proved: the whole of a merge, and where inputs
 * may not be shed.
 */
export function smallestPart(whole: Shape, mayShed: boolean): Shape {
  if (!mayShed || whole.messages !== undefined || whole.raws + whole.children < 2) return whole;
  const smallest = whole.raws > 0 ? smallestShape : { raws: 0, children: 2 };
  return atRate(smallest, whole.logInvRate ?? 0);
}

/**
 * One name for shapes of a kind and rate with equal children, and raw signatures within a factor of two.
 */
export function sizeName(shape: Shape): string {
  const { raws, children, logInvRate = 0 } = shape;
  return `${kindOf(shape)} ${Math.clz32(raws)} ${children} ${logInvRate}`;
}
