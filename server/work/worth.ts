/**
 * What a vote is expected to be worth in a proof that starts now: the weights of the steps by when
 * the proof may be ready, and the probability of each, from the predicted duration. Pure.
 */
import { limits } from "../limits.js";
import type { Duration } from "./costs/cost-model.js";
import type { Shape } from "./shape.js";
import type { Step } from "./submission.js";

/** Until when a proof has to be ready, to be worth how much. */
export interface Horizon {
  /**
   * In order of their instants, with descending weights; empty: a vote is worth 1 until the fence.
   * After the last one a vote is worth nothing.
   */
  readonly steps: readonly Step[];
  /** From here on a proof is worth nothing, whatever the steps say. */
  readonly fenceAtMs: number;
}

/**
 * No proof starts that is ready in time with a smaller probability: it would probably take the time of
 * a proof that is of use. By the judge, 0.2 wastes twice as much for no more votes, and 0.5 refuses
 * more that would have been in time.
 */
export const LEAST_CHANCE = 0.35;
/** The quantile of the standard normal distribution at `LEAST_CHANCE`. */
export const LEAST_CHANCE_AT = -0.385;

/**
 * A vote that is in a proof of the node already counts so much: a later merge of its proofs has less
 * to do. So a child is folded where that delays and endangers nothing else.
 */
export const FOLDED_WEIGHT = 0.1;

/** What is expected of a proof that starts now. */
export interface Prospect {
  /** Expected weight of a vote in it. */
  readonly weight: number;
  /** Probability that it is ready before it is worthless. */
  readonly chance: number;
}

/** What is proved of a group if it starts now: the part that is worth most, or the whole of a merge. */
export interface Best extends Prospect {
  shape: Shape;
  /** Votes that it adds to the node's proofs, times their expected weight. */
  worth: number;
}

export function prospectOf(horizon: Horizon, startAtMs: number, duration: Duration): Prospect {
  return {
    weight: expectedWeight(horizon, startAtMs, duration),
    chance: probabilityWithin(duration, worthlessFromMs(horizon) - startAtMs),
  };
}

/** The instant from which on a proof is worth nothing: the fence, or the end of the last step. */
export function worthlessFromMs({ steps, fenceAtMs }: Horizon): number {
  const last = steps.at(-1);
  return last === undefined ? fenceAtMs : Math.min(fenceAtMs, last.untilAtMs);
}

/**
 * The expected weight of a vote in a proof that starts at `startAtMs`: 0 if it will be worthless for
 * sure. It does not grow with a later start, and does not shrink with a later fence.
 */
export function expectedWeight(horizon: Horizon, startAtMs: number, duration: Duration): number {
  const { steps, fenceAtMs } = horizon;
  const readyBy = (atMs: number) =>
    probabilityWithin(duration, Math.min(atMs, fenceAtMs) - startAtMs);
  if (steps.length === 0) return readyBy(fenceAtMs);
  // A vote that is ready in a step is worth the sum of what the weight falls by at the end of each
  // step from there on: so no two probabilities are subtracted, which would cost accuracy.
  return steps.reduce((sum, { untilAtMs, weight }, at) => {
    return sum + (weight - (steps[at + 1]?.weight ?? 0)) * readyBy(untilAtMs);
  }, 0);
}

/** The probability that a proof takes less than `ms`: its logarithm is distributed normally. */
function probabilityWithin({ medianMs, deviation }: Duration, ms: number): number {
  if (ms <= 0) return 0;
  return normalProbability(Math.log(ms / medianMs) / deviation);
}

/**
 * The standard normal distribution function, with a relative error below 1.2e-7 also far below the
 * mean: Chebyshev's approximation of the complementary error function (Numerical Recipes, 6.2).
 */
export function normalProbability(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + x / 2);
  const power = erfcCoefficients.reduceRight((sum, coefficient) => coefficient + t * sum, 0);
  const tail = (t * Math.exp(-x * x + power)) / 2;
  return z < 0 ? tail : 1 - tail;
}

const erfcCoefficients = [
  -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277,
] as const;

/**
 * The steps of an attempt that several requests share: at each instant the largest weight that one
 * of them gives. Each request has a scale of its own, so weights are shares of its first one, and
 * without steps 1 until the fence.
 */
export function jointSteps(horizons: readonly Horizon[]): Step[] {
  const latestFirst = horizons
    .flatMap(sharesOf)
    .sort((a, b) => b.untilAtMs - a.untilAtMs || b.weight - a.weight);
  const joint: Step[] = [];
  for (const step of latestFirst) {
    const [next] = joint;
    if (next === undefined || step.weight > next.weight) joint.unshift(step);
  }
  while (joint.length > limits.attemptStepsMax) joint.splice(leastOf(joint), 1);
  return joint;
}

function sharesOf({ steps, fenceAtMs }: Horizon): Step[] {
  const [first] = steps;
  if (first === undefined) return [{ untilAtMs: fenceAtMs, weight: 1 }];
  return steps.map(({ untilAtMs, weight }) => {
    return { untilAtMs: Math.min(untilAtMs, fenceAtMs), weight: weight / first.weight };
  });
}

/** The step without which the weight changes least: it becomes that of the next step. */
function leastOf(steps: readonly Step[]): number {
  const falls = steps.map(({ weight }, at) => weight - (steps[at + 1]?.weight ?? 0));
  return falls.indexOf(Math.min(...falls.slice(0, -1)));
}
