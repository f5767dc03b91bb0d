/**
 * How long a tree of jobs is predicted to take over several lanes, without building it. Pure.
 */
import type { Duration } from "./cost-model.js";
import type { FoldLimits } from "../fold-limits.js";
import type { Shape } from "../shape.js";
import { atRate } from "../shape.js";
import { cut, levelOf } from "../tree.js";

/** What is known of the lanes when a tree would start. */
export interface TreeLanes {
  limits: FoldLimits;
  /** For each lane, in how many milliseconds from the start it takes a job; the first is the least. */
  freeAfterMs: readonly number[];
  durationOf(shape: Shape): Duration;
}

/** The jobs of a tree of this shape, each after those whose proofs it folds. */
export function jobsOf(limits: FoldLimits, shape: Shape): Shape[] {
  const { leaves, folds } = structureOf(limits, shape);
  return [...leaves, ...folds.flat().map(({ shape: fold }) => fold)];
}

/** From the start of the first job to the end of the last: each starts as soon as a lane is free. */
export function treeDuration(lanes: TreeLanes, shape: Shape): Duration {
  const medianMs = makespanMs(lanes, shape, 0);
  // Jobs of one device deviate alike for the most part: by what is not known of its speed.
  return { medianMs, deviation: Math.log(makespanMs(lanes, shape, 1) / medianMs) };
}

interface Fold {
  shape: Shape;
  /** The range of proofs of the level below that it folds. */
  range: readonly [from: number, to: number];
}

/** The leaves, and the levels of folds; a range of one is a proof that goes on as it is. */
function structureOf(limits: FoldLimits, { raws, children, logInvRate = 0 }: Shape) {
  const leaves = cut(raws, limits.rawsMax).map(([from, to]) =>
    atRate({ raws: to - from, children: 0 }, logInvRate),
  );
  const levels: Fold[][] = [];
  for (let count = leaves.length + children; count > 1;) {
    const level = levelOf(limits, count).map((range) => {
      return { shape: atRate({ raws: 0, children: range[1] - range[0] }, logInvRate), range };
    });
    levels.push(level);
    count = level.length;
  }
  const folds = levels.map((level) => level.filter(({ shape }) => shape.children > 1));
  return { leaves, levels, folds };
}

function makespanMs(
  { limits, freeAfterMs, durationOf }: TreeLanes,
  shape: Shape,
  deviations: number,
): number {
  const { leaves, levels } = structureOf(limits, shape);
  const free = [...freeAfterMs];
  const known = new Map<number, number>();
  const costMs = (job: Shape) => {
    const key = job.raws * 4096 + job.children;
    const { medianMs, deviation } = known.has(key) ? ZERO : durationOf(job);
    const ms = known.get(key) ?? medianMs * Math.exp(deviations * deviation);
    known.set(key, ms);
    return ms;
  };
  const run = (job: Shape, readyMs: number): number => {
    let first = 0;
    for (let lane = 1; lane < free.length; lane++) {
      if ((free[lane] ?? Infinity) < (free[first] ?? Infinity)) first = lane;
    }
    const endMs = Math.max(free[first] ?? Infinity, readyMs) + costMs(job);
    free[first] = endMs;
    return endMs;
  };
  const ends = leaves.map((leaf) => run(leaf, 0));
  let proofs = [...ends, ...Array.from({ length: shape.children }, () => 0)];
  for (const level of levels) {
    proofs = level.map(({ shape: fold, range: [from, to] }) => {
      const readyMs = Math.max(...proofs.slice(from, to));
      return fold.children === 1 ? readyMs : run(fold, readyMs);
    });
  }
  return Math.max(0, ...proofs);
}

const ZERO: Duration = { medianMs: 0, deviation: 0 };
