/**
 * Chooses the part of a group that can be proved in the time left. Children are shed first, because
 * each costs seconds, then raw signatures. Which inputs are kept changes from slot to slot, so that
 * no vote is left out for ever where the whole never fits into one proof.
 */
import type { Shape } from "./shape.js";

/** The part to prove, as indices into the `raws` and `children` of its `PartRequest`. */
export interface Part {
  raws: readonly number[];
  children: readonly number[];
  /** Raw signatures of validators in the kept children: not needed, and not counted as shed. */
  covered: readonly number[];
}

export interface PartRequest {
  /** The validator of each verified raw signature. */
  raws: readonly number[];
  /** The validators of each verified child. */
  children: readonly (readonly number[])[];
  /** Where in its list the first kept input stands, from 0 to below 1; see `rotationOf`. */
  rotation: number;
  /** Whether inputs may be shed. */
  mayShed: boolean;
  /** Whether a proof of this shape almost certainly ends before the fence. */
  fits(shape: Shape): boolean;
  /** Whether the smallest possible part, of this shape, may start although it does not fit. */
  mayStart(shape: Shape): boolean;
}

/**
 * Where the kept inputs begin in their list, as a share of its length from 0 to below 1. The number
 * is a hash of the slot (Stafford's bit mixer): even for a node that submits, say, in every fourth
 * slot only, the same inputs are not left out for ever.
 */
export function rotationOf(slot: bigint): number {
  let mixed = BigInt.asUintN(64, slot + 0x9e3779b97f4a7c15n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  mixed ^= mixed >> 31n;
  return Number(mixed >> 11n) / 2 ** 53;
}

/** Whether the part can be proved: a proof needs a raw signature or two children. */
export function isProof({ raws, children }: Part): boolean {
  return raws.length > 0 || children.length >= 2;
}

/**
 * Returns the whole group if it fits, else the largest part that does, else the smallest part if it
 * `mayStart`; undefined when no part may start. A group with nothing to prove is returned whole.
 */
export function choosePart(request: PartRequest): Part | undefined {
  const { raws, children, rotation, mayShed } = request;
  const fits = (part: Part) => request.fits(shapeOfPart(part));
  const least = (part: Part) => (request.mayStart(shapeOfPart(part)) ? part : undefined);
  const whole = withChildren(request, children.length);
  if (!isProof(whole) || fits(whole)) return whole;
  if (!mayShed) return least(whole);

  for (let kept = children.length - 1; kept >= 0; kept--) {
    const part = withChildren(request, kept);
    if (isProof(part) && fits(part)) return part;
  }
  // No part with all raw signatures fits: without children, as many raw signatures as fit.
  const rawsAlone = (count: number): Part => ({
    raws: rotated(raws.length, rotation, count),
    children: [],
    covered: [],
  });
  const fitting = largest(raws.length, (count) => request.fits({ raws: count, children: 0 }));
  if (fitting > 0) return rawsAlone(fitting);
  return least(raws.length > 0 ? rawsAlone(1) : withChildren(request, 2));
}

function shapeOfPart({ raws, children }: Part): Shape {
  return { raws: raws.length, children: children.length };
}

/** The part with `kept` children, and all raw signatures of validators that are not in them. */
function withChildren({ raws, children, rotation }: PartRequest, kept: number): Part {
  const keptChildren = rotated(children.length, rotation, kept);
  const covered = new Set(keptChildren.flatMap((child) => children[child] ?? []));
  const isCovered = (at: number) => covered.has(raws[at] ?? -1);
  const all = [...raws.keys()];
  return {
    raws: all.filter((at) => !isCovered(at)),
    children: keptChildren,
    covered: all.filter(isCovered),
  };
}

/**
 * Returns `kept` of the indices below `count`, ascending: consecutive ones from `rotation · count`
 * on, and after the last index from 0.
 */
function rotated(count: number, rotation: number, kept: number): number[] {
  const from = Math.floor(rotation * count);
  return Array.from({ length: kept }, (_, step) => (from + step) % count).sort((a, b) => a - b);
}

/** The largest count up to `max` for which `holds` is true, and with it for all smaller counts. */
function largest(max: number, holds: (count: number) => boolean): number {
  let low = 0;
  let high = max;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
