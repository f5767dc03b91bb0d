/**
 * What one fold may have: the limits of a prover, or the lowest of several. A group over them is a
 * tree of jobs, see `tree.ts`. Pure.
 */
import { limits } from "../limits.js";
import type { ProverDescription } from "./prover-description.js";
import type { Shape } from "./shape.js";

/** Infinity: no limit. */
export interface FoldLimits {
  /** Raw signatures of a fold without children. */
  readonly rawsMax: number;
  /** Raw signatures of a fold with children; 0: none. */
  readonly rawsBesideMax: number;
  readonly childrenMax: number;
  /** Bit n is set when n children are taken at once; 0: any number up to `childrenMax`. */
  readonly arities: number;
}

export const noFoldLimits: FoldLimits = {
  rawsMax: Infinity,
  rawsBesideMax: Infinity,
  childrenMax: limits.childrenMax,
  arities: 0,
};

/** The limits of a described prover: of its own and the service's, the lower. */
export function foldLimitsOf(prover: ProverDescription): FoldLimits {
  const { rawsMax, rawsBesideMax, childrenMax, arities = 0, separatesRaws = false } = prover;
  const own = {
    rawsMax: rawsMax || Infinity,
    rawsBesideMax: separatesRaws ? 0 : rawsBesideMax || Infinity,
    childrenMax: childrenMax || Infinity,
    arities,
  };
  return lowerLimits(noFoldLimits, own);
}

/** What both take. Arities that have none in common are those of `a`. */
export function lowerLimits(a: FoldLimits, b: FoldLimits): FoldLimits {
  return {
    rawsMax: Math.min(a.rawsMax, b.rawsMax),
    rawsBesideMax: Math.min(a.rawsBesideMax, b.rawsBesideMax),
    childrenMax: Math.min(a.childrenMax, b.childrenMax),
    arities: a.arities === 0 || b.arities === 0 ? a.arities | b.arities : commonOf(a, b),
  };
}

/** The description of a prover of which a job gets at most so many raw signatures; 0: no lower limit. */
export function withLeafRawsMax(of: ProverDescription, leafRawsMax: number): ProverDescription {
  if (leafRawsMax === 0) return of;
  const lower = (own = 0) => Math.min(own || Infinity, leafRawsMax);
  return { ...of, rawsMax: lower(of.rawsMax), rawsBesideMax: lower(of.rawsBesideMax) };
}

/** Whether one job may prove this shape. One child alone needs no job, and fits. */
export function fitsOneJob(of: FoldLimits, { raws, children, messages }: Shape): boolean {
  if (messages !== undefined || (raws === 0 && children < 2)) return true;
  if (children === 0) return raws <= of.rawsMax;
  return raws <= of.rawsBesideMax && children <= of.childrenMax && takesArity(of, children);
}

/** The most of `count` proofs that one job folds; 0 where it folds no two of them. */
export function foldedAtOnce(of: FoldLimits, count: number): number {
  for (let size = Math.min(count, of.childrenMax); size >= 2; size--) {
    if (takesArity(of, size)) return size;
  }
  return 0;
}

function takesArity({ arities }: FoldLimits, children: number): boolean {
  return arities === 0 || (children < 32 && ((arities >>> children) & 1) === 1);
}

function commonOf(a: FoldLimits, b: FoldLimits): number {
  const common = a.arities & b.arities;
  return foldedAtOnce({ ...noFoldLimits, arities: common }, 31) === 0 ? a.arities : common >>> 0;
}
