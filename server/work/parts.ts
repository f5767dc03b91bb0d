/**
 * The part of a group that fits into the time left: children are shed first, for each costs
 * seconds, then raw signatures. What is kept rotates from slot to slot, so that an input too large
 * for one proof gets all its votes represented over a few.
 */
import type { Shape } from "./shape.js";

/** Indices into the verified inputs of a group. */
export interface Part {
  raws: readonly number[];
  children: readonly number[];
  /** Raw signatures that the kept children cover already; they are not needed, and not shed. */
  covered: readonly number[];
}

export interface PartRequest {
  /** Validators of the verified raw signatures, and of each verified child. */
  raws: readonly number[];
  children: readonly (readonly number[])[];
  /** Where rotation stands, 0 to 1; see `rotationOf`. */
  rotation: number;
  /** Some inputs may be left out. */
  mayBeCut: boolean;
  /** A proof of this shape is all but sure to end before the fence. */
  fits(shape: Shape): boolean;
  /** The smallest possible part may start even when `fits` is false. */
  mayStart(shape: Shape): boolean;
}

/**
 * Where rotation stands in a slot, 0 to 1: a number that looks random, so that no node submits in a
 * rhythm for which the same inputs are left out for ever. (A mix of the slot's bits by Stafford.)
 */
export function rotationOf(slot: bigint): number {
  let mixed = BigInt.asUintN(64, slot + 0x9e3779b97f4a7c15n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
  mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
  mixed ^= mixed >> 31n;
  return Number(mixed >> 11n) / 2 ** 53;
}

/** A proof needs a raw signature or two children. */
export function isProof({ raws, children }: Part): boolean {
  return raws.length > 0 || children.length >= 2;
}

/** Undefined when no part may start. A group with nothing to prove is returned whole. */
export function choosePart(request: PartRequest): Part | undefined {
  const { raws, children, rotation, mayBeCut } = request;
  const fits = (part: Part) => request.fits(shapeOfPart(part));
  const least = (part: Part) => (request.mayStart(shapeOfPart(part)) ? part : undefined);
  const whole = withChildren(request, children.length);
  if (!isProof(whole) || fits(whole)) return whole;
  if (!mayBeCut) return least(whole);

  for (let kept = children.length - 1; kept >= 0; kept--) {
    const part = withChildren(request, kept);
    if (isProof(part) && fits(part)) return part;
  }
  // Shedding children did not help: as many raw signatures as fit, alone.
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

/** The first `kept` children from the rotation on, and all raws that they do not cover. */
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

/** `kept` of `count` indices in a row, from where rotation stands; ascending. */
function rotated(count: number, rotation: number, kept: number): number[] {
  const from = Math.floor(rotation * count);
  return Array.from({ length: kept }, (_, step) => (from + step) % count).sort((a, b) => a - b);
}

/** The largest count from 0 to `max` for which `holds`, which holds up to some count only. */
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
