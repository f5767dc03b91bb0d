/**
 * How long a proof takes, as a function of its shape, learned on the device that makes the proofs.
 * Pure; one model per device,
 * kind and rate (see `costs.ts`). Admission predicts with it whether a snapshot can be in time. A lane
 * chooses with it the part of a group that fits, and distinguishes a long proof from a hung prover.
 *
 * A proof takes `a + b·raws + c·raws²` milliseconds without children, and `d·children + e·raws`
 * with children, beside which the fixed cost of a proof is negligible. A child never makes a proof
 * cheaper: with children, the larger of the two values counts. The model consists of the natural
 * logarithms of a to e and their covariance. Logarithms make every cost positive, and an error a
 * ratio.
 *
 * An extended Kalman filter learns from each proof. At first the five logarithms are strongly
 * correlated: one sample of any shape scales all costs to this device, and later samples tell raw
 * signatures from children. A cost of which no samples come grows as uncertain as it was at first.
 */

import type { Shape } from "../shape.js";
import { smallestShape } from "../shape.js";

/**
 * The costs a to e in milliseconds before anything is learned, measured on two cores: a proof, each
 * raw signature, the square of their number; each child, each raw signature beside children.
 */
const TABLE_MS = [770, 2, 0.3, 2750, 42] as const;
/** Standard deviation common to all five logarithms: 0.7 is twice or half the speed. */
const COMMON_DEVIATION = 0.7;
/**
 * Further standard deviation of each logarithm, beside the common one. It is smaller for the costs
 * with children, which vary less between devices. With 0.3, a device as slow as the measured one
 * that has learned from proofs without children alone would not fit a child with eight raw
 * signatures before a fence of 6.4 s.
 */
const OWN_DEVIATIONS = [0.3, 0.3, 0.3, 0.2, 0.2] as const;
/** Further standard deviation, common to all five, of a merge's costs that were learned from folds. */
const MERGE_DEVIATION = 0.3;
/** A proof in a merge takes this share of a child in a fold: measured 0.5 and 0.8 on two cores of two machines. */
const MERGE_CHILD_SHARE = 0.7;
/** Place in `logMs` of what a child takes. */
const CHILD = 3;
/** Variance of the logarithm of the durations of one shape: before any proof, and its bounds. */
const SCATTER_AT_FIRST = 0.15 ** 2;
export const SCATTER_MIN = 0.05 ** 2;
const SCATTER_MAX = 0.5 ** 2;
/** Share by which `CostModel.scatter` moves towards what a new sample says of it. */
const SCATTER_RATE = 0.1;
/** Time constant in which learned certainty fades; from slot to slot it allows a drift of 3 %. */
const FORGET_MS = 30 * 60_000;
/** A sample counts as at most this many standard deviations from its prediction. */
const SURPRISE_MAX = 3;
/** Certainty kept after a sample beyond `SURPRISE_MAX`, as a share: the device may have changed. */
const KEPT_AT_SURPRISE = 0.9;
/** The 2nd and 98th percentile of a normal distribution, in standard deviations from the median. */
export const OPTIMISTIC_AT = -2.054;
export const PESSIMISTIC_AT = 2.054;
/** `1 / (1 + exp(-LOGISTIC · z))` is within 0.01 of the standard normal distribution function. */
export const LOGISTIC = 1.702;
/** A prover counts as hung after this multiple of the 98th percentile, but not before 10 s. */
const OVERRUN_FACTOR = 4;
const OVERRUN_MS_MIN = 10_000;

export interface CostModel {
  /** Natural logarithms of the costs a to e, which are in milliseconds. */
  readonly logMs: readonly number[];
  /** Rows of the covariance of those logarithms. */
  readonly covariance: readonly (readonly number[])[];
  /** Variance of the logarithm of a proof's duration that remains when a to e are known exactly. */
  readonly scatter: number;
  /** The instant at which `covariance` is valid; at later instants the uncertainty is larger. */
  readonly atMs: number;
}

const COVARIANCE_AT_FIRST = TABLE_MS.map((_, row) =>
  OWN_DEVIATIONS.map((own, column) => COMMON_DEVIATION ** 2 + (row === column ? own ** 2 : 0)),
);

/** The model of a device of which nothing is learned yet. */
export const freshCostModel: CostModel = {
  logMs: TABLE_MS.map(Math.log),
  covariance: COVARIANCE_AT_FIRST,
  scatter: SCATTER_AT_FIRST,
  atMs: 0,
};

/** Median duration of a proof of this shape, in milliseconds. */
export function predictMs(model: CostModel, shape: Shape): number {
  return sum(partsMs(model, shape));
}

/** The 2nd percentile of the duration of a proof of this shape, in milliseconds. */
export function optimisticMs(model: CostModel, shape: Shape): number {
  return quantileMs(model, shape, OPTIMISTIC_AT);
}

/** The 98th percentile of the duration of a proof of this shape, in milliseconds. */
export function pessimisticMs(model: CostModel, shape: Shape): number {
  return quantileMs(model, shape, PESSIMISTIC_AT);
}

/** A proof that runs longer than this, in milliseconds, is treated as a hung prover. */
export function overrunMs(model: CostModel, shape: Shape): number {
  return Math.max(OVERRUN_MS_MIN, OVERRUN_FACTOR * pessimisticMs(model, shape));
}

/** The model with the larger uncertainty of a later instant; its medians stay the same. */
export function aged(model: CostModel, nowMs: number): CostModel {
  const kept = Math.exp(-Math.max(0, nowMs - model.atMs) / FORGET_MS);
  const covariance = forget(model.covariance, kept);
  return { ...model, covariance, atMs: Math.max(nowMs, model.atMs) };
}

/** The model with the same medians, as uncertain as one of which nothing is learned yet. */
export function uncertain(model: CostModel): CostModel {
  return { ...model, covariance: COVARIANCE_AT_FIRST };
}

/** The model of a device's merges before the first one, from that of its folds: a little less certain. */
export function mergeModelOf({ logMs, covariance, ...model }: CostModel): CostModel {
  return {
    ...model,
    logMs: logMs.map((log, part) => (part === CHILD ? log + Math.log(MERGE_CHILD_SHARE) : log)),
    covariance: covariance.map((row) => row.map((value) => value + MERGE_DEVIATION ** 2)),
  };
}

/**
 * Returns the model after a proof of this shape that took `tookMs` milliseconds.
 *
 * @param doubt standard deviation of the logarithm of `tookMs` beyond that of any proof: how much the
 *   proof may have been slower or faster than proofs will be. Default: 0
 */
export function learn(
  model: CostModel,
  shape: Shape,
  tookMs: number,
  nowMs: number,
  doubt = 0,
): CostModel {
  const before = aged(model, nowMs);
  const { ms, variance: own, pull } = predict(before, shape);
  const variance = own + doubt ** 2;
  const deviation = Math.sqrt(variance);
  const surprise = Math.log(Math.max(tookMs, 1) / ms) / deviation;
  const used = Math.max(-SURPRISE_MAX, Math.min(SURPRISE_MAX, surprise));
  const rate = doubt === 0 ? SCATTER_RATE : 0;
  // The expected square of the proof's own deviation, given the sample: after idle time most of a
  // surprise is due to the uncertain costs, and says little of the scatter.
  const ofScatter = before.scatter ** 2 / variance;
  const scatter = before.scatter + rate * (used ** 2 - 1) * ofScatter;
  const covariance = before.covariance.map((values, row) =>
    values.map((value, column) => value - (at(pull, row) * at(pull, column)) / variance),
  );
  return {
    logMs: before.logMs.map((log, i) => log + (at(pull, i) / deviation) * used),
    covariance: used === surprise ? covariance : forget(covariance, KEPT_AT_SURPRISE),
    scatter: Math.max(SCATTER_MIN, Math.min(SCATTER_MAX, scatter)),
    atMs: before.atMs,
  };
}

/**
 * Returns the model after a proof that was killed after `ranMs` milliseconds and would have taken
 * longer. Raises the costs as if the proof had taken its expected duration, given that it exceeds
 * `ranMs`. Lowers no prediction, and does not reduce the uncertainty.
 */
export function learnAtLeast(
  model: CostModel,
  shape: Shape,
  ranMs: number,
  nowMs: number,
): CostModel {
  const before = aged(model, nowMs);
  const { ms, variance, pull } = predict(before, shape);
  const deviation = Math.sqrt(variance);
  const surprise = meanBeyond(Math.log(Math.max(ranMs, 1) / ms) / deviation);
  const used = Math.min(SURPRISE_MAX, surprise);
  const rise = pull.map((each) => Math.max(0, (each / deviation) * used));
  return { ...before, logMs: before.logMs.map((log, i) => log + at(rise, i)) };
}

/** The milliseconds that each of the costs a to e contributes to a proof of this shape. */
function partsMs({ logMs }: CostModel, { raws, children }: Shape): number[] {
  const of = (counts: readonly number[]) => logMs.map((log, i) => at(counts, i) * Math.exp(log));
  const alone = of([1, raws, raws * raws, 0, 0]);
  const folded = of([0, 0, 0, children, raws]);
  return children > 0 && sum(folded) > sum(alone) ? folded : alone;
}

interface Prediction {
  /** Median duration in milliseconds. */
  ms: number;
  /** Variance of the logarithm of the duration. */
  variance: number;
  /** Covariance of that logarithm with each of `logMs`: how far a sample moves each of them. */
  pull: readonly number[];
}

function predict(model: CostModel, shape: Shape): Prediction {
  const parts = partsMs(model, shape);
  const ms = sum(parts);
  const shares = parts.map((part) => part / ms);
  const pull = model.covariance.map((row) => dot(row, shares));
  return { ms, variance: dot(pull, shares) + model.scatter, pull };
}

/** Standard deviation of the logarithm of the median duration of this shape: what is not learned. */
export function uncertaintyOf(model: CostModel, shape: Shape): number {
  return Math.sqrt(Math.max(0, predict(model, shape).variance - model.scatter));
}

/**
 * How long a proof of this shape may well take, in ms: the median or, where less, what the table says
 * of a device as fast with raw signatures. So a cost that was learned far too high is found out.
 */
export function likelyMs(model: CostModel, shape: Shape): number {
  const speed = predictMs(model, smallestShape) / predictMs(freshCostModel, smallestShape);
  return Math.min(predictMs(model, shape), speed * predictMs(freshCostModel, shape));
}

/** A quantile of the duration in ms, `deviations` standard deviations above the median. */
export function quantileMs(model: CostModel, shape: Shape, deviations: number): number {
  return quantileOf(durationOf(model, shape), deviations);
}

/** The predicted duration of a proof of one shape, to ask for several quantiles of it. */
export interface Duration {
  /** Median in milliseconds. */
  readonly medianMs: number;
  /** Standard deviation of the logarithm of the duration. */
  readonly deviation: number;
}

export function durationOf(model: CostModel, shape: Shape): Duration {
  const { ms, variance } = predict(model, shape);
  return { medianMs: ms, deviation: Math.sqrt(variance) };
}

/** A quantile of the duration in ms, `deviations` standard deviations above the median. */
export function quantileOf({ medianMs, deviation }: Duration, deviations: number): number {
  return deviations === 0 ? medianMs : medianMs * Math.exp(deviations * deviation);
}

/** Mean of those values of a standard normal variable that exceed z, accurate to a fifth. */
function meanBeyond(z: number): number {
  // Further out, the density becomes 0 and the exponential Infinity, whose product is NaN.
  if (z > 8) return z;
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  return Math.max(z, density * (1 + Math.exp(LOGISTIC * z)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((value, i) => value * at(b, i)));
}

/** The mean of `covariance`, with weight `kept` (0 to 1), and of the initial covariance. */
function forget(covariance: CostModel["covariance"], kept: number): number[][] {
  return COVARIANCE_AT_FIRST.map((values, row) =>
    values.map((atFirst, column) => {
      return (1 - kept) * atFirst + kept * at(at(covariance, row), column);
    }),
  );
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`a cost model has no coefficient ${index}`);
  return item;
}
