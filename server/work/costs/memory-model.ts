/**
 * How much memory a prover holds at most while it makes a proof, as a function of the proof's shape,
 * learned on the device. Pure. A lane starts no proof with it that would pass the device's ceiling.
 *
 * Peaks are kept as they were measured, one for each size of proof. What lies between two of them is
 * interpolated, and what is larger than all grows as the table does, which was measured with lean_pq:
 * 0.8 GB for a few raw signatures and 4 GB for 512; 1.1 GB for a child and a raw signature, 1.5, 2.6, 5.4
 * and 10 GB for 2, 4, 8 and 16 children.
 */
import { limits } from "../../limits.js";
import type { Shape } from "../shape.js";
import { kindOf, sizeName } from "../shape.js";

/** Bytes of a proof of few raw signatures, and of each raw signature. */
const BASE_BYTES = 0.8e9;
const RAW_BYTES = 6.3e6;
/** Bytes of a proof with children, and of each child: with few of them, and with many. */
const FOLD_BYTES = [
  [0.6e9, 0.55e9],
  [0.3e9, 0.64e9],
] as const;
/** Share by which a peak comes down where less was measured than it says; up it goes at once. */
const FALL_RATE = 0.5;

/** The most that was measured of proofs of about one size. */
export interface Peak {
  readonly shape: Shape;
  /** Resident bytes of the prover, less what it still held of earlier proofs. */
  readonly bytes: number;
}

/** The newest first. */
export type MemoryModel = readonly Peak[];

/** Predicted peak of a proof of this shape, in bytes. */
export function peakBytes(model: MemoryModel, shape: Shape): number {
  const size = tableBytes(shape);
  const ofRate = model.filter((peak) => rateOf(peak.shape) === rateOf(shape));
  const alike = ofRate.filter((peak) => areAlike(peak.shape, shape));
  if (alike.length === 0) {
    // Other proofs say at least by how much the table is too low.
    return size + Math.max(0, ...ofRate.map((peak) => peak.bytes - tableBytes(peak.shape)));
  }
  const points = alike
    .map((peak) => ({ size: tableBytes(peak.shape), bytes: peak.bytes }))
    .sort((a, b) => a.size - b.size);
  let below: { size: number; bytes: number } | undefined;
  for (const point of points) {
    // A larger proof takes no less.
    const bytes = Math.max(point.bytes, below?.bytes ?? 0);
    if (size <= point.size) {
      if (below === undefined || point.size === below.size) return bytes;
      const share = (size - below.size) / (point.size - below.size);
      return below.bytes + share * (bytes - below.bytes);
    }
    below = { size: point.size, bytes };
  }
  return below === undefined ? size : below.bytes + size - below.size;
}

/**
 * Whether a proof of this shape stays below the ceiling. The smallest proof of its sort (fold or merge,
 * with children or without) is possible as long as none of it was measured: the table may be wrong
 * for this backend.
 */
export function fitsInMemory(model: MemoryModel, shape: Shape, ceilingBytes: number): boolean {
  if (peakBytes(model, shape) <= ceilingBytes) return true;
  return isSmallest(shape) && !model.some((peak) => areAlike(peak.shape, shape));
}

/** Whether no proof of its sort takes less. */
export function isSmallest({ raws, children }: Shape): boolean {
  return raws <= 1 && children <= 2;
}

/** Returns the model after a proof of this shape whose peak was so high. */
export function learnPeak(model: MemoryModel, shape: Shape, bytes: number): MemoryModel {
  const isAlike = (peak: Peak) => sizeName(peak.shape) === sizeName(shape);
  const known = model.find(isAlike);
  // What the known peak says of this shape, which may be up to half or twice its size.
  const expected =
    known === undefined ? 0 : known.bytes + tableBytes(shape) - tableBytes(known.shape);
  const next: Peak =
    known === undefined || bytes >= expected
      ? { shape: { ...shape, logInvRate: rateOf(shape) }, bytes }
      : { ...known, bytes: Math.max(bytes, known.bytes - FALL_RATE * (expected - bytes)) };
  return [next, ...model.filter((peak) => !isAlike(peak))].slice(0, limits.memoryPeaksMax);
}

function tableBytes({ raws, children }: Shape): number {
  const folds = children === 0 ? [] : FOLD_BYTES.map(([base, each]) => base + each * children);
  return Math.max(BASE_BYTES, ...folds) + RAW_BYTES * raws;
}

const hasChildren = ({ children }: Shape) => children > 0;
const areAlike = (a: Shape, b: Shape) =>
  kindOf(a) === kindOf(b) && hasChildren(a) === hasChildren(b);
const rateOf = ({ logInvRate = 0 }: Shape) => logInvRate;
