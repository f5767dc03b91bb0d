/**
 * What a proof costs, as a function of its shape, learned on the device that makes the proofs.
 * Pure; one model per device. Used at accept (optimistic), at dispatch (pessimistic) and to
 * distinguish a long proof from a hung prover.
 *
 * Milliseconds are `a + b·raws + c·raws²` of raw signatures alone, and `d·children + e·raws` where
 * children are folded in, which dwarfs what a proof costs as such; a child never makes a proof
 * cheaper. The model holds the logarithms of a to e, so that no cost is ever negative and an error
 * counts as a ratio, with their covariance, and follows them by an extended Kalman filter. Before
 * anything is seen the five are far more uncertain together than apart: one sample of any shape
 * scales the whole table to this device, and later ones tell raw signatures from children. What is
 * not seen grows as uncertain again as it was at first.
 */

import type { Shape } from "./shape.js";

/**
 * Milliseconds measured on two cores: a proof, a raw signature, its square; a child, a raw
 * signature beside children.
 */
const TABLE_MS = [770, 2, 0.3, 2750, 42] as const;
/** Standard deviation that all logarithms share: a device is twice as fast, or half as fast. */
const COMMON_DEVIATION = 0.7;
/**
 * Standard deviation of each logarithm alone. Checking a child costs much the same on any device:
 * with the deviation of the others no child would fit into a fence of two slots before the first
 * was proved.
 */
const OWN_DEVIATIONS = [0.3, 0.3, 0.3, 0.2, 0.2] as const;
/** Variance of the logarithm of proof times of one shape: before any proof, and its bounds. */
const SCATTER_AT_FIRST = 0.15 ** 2;
const SCATTER_MIN = 0.05 ** 2;
const SCATTER_MAX = 0.5 ** 2;
/** Share by which the scatter moves towards a new sample. */
const SCATTER_RATE = 0.05;
/** Time constant of forgetting; between two slots it allows for a drift of 3 %. */
const FORGET_MS = 30 * 60_000;
/** A sample counts as at most this many standard deviations from its prediction. */
const SURPRISE_MAX = 3;
/** Share of the certainty that is kept after such a sample: the device may have changed. */
const KEPT_AT_SURPRISE = 0.9;
/** The 2 % and 98 % quantiles of a normal distribution, in standard deviations from the median. */
export const OPTIMISTIC_AT = -2.054;
const PESSIMISTIC_AT = 2.054;
/** A logistic distribution of this scale is within 0.01 of the standard normal one. */
export const LOGISTIC = 1.702;
/**
 * A prover counts as hung beyond this multiple of the pessimistic prediction, never before 10 s.
 */
const OVERRUN_FACTOR = 4;
const OVERRUN_MS_MIN = 10_000;

export interface CostModel {
  /** Natural logarithms of the milliseconds in the table. */
  readonly logMs: readonly number[];
  /** Rows of the covariance of those logarithms. */
  readonly covariance: readonly (readonly number[])[];
  /** Variance of the logarithm of a proof's duration that no model explains. */
  readonly scatter: number;
  /** The instant for which the uncertainty holds. */
  readonly atMs: number;
}

const COVARIANCE_AT_FIRST = TABLE_MS.map((_, row) =>
  OWN_DEVIATIONS.map((own, column) => COMMON_DEVIATION ** 2 + (row === column ? own ** 2 : 0)),
);

/** Nothing learned yet. */
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

/** The model with the uncertainty of a later instant; its medians stay the same. */
export function aged(model: CostModel, nowMs: number): CostModel {
  const kept = Math.exp(-Math.max(0, nowMs - model.atMs) / FORGET_MS);
  const covariance = forget(model.covariance, kept);
  return { ...model, covariance, atMs: Math.max(nowMs, model.atMs) };
}

/** The model after a proof of this shape that took `tookMs`. */
export function learn(model: CostModel, shape: Shape, tookMs: number, nowMs: number): CostModel {
  const before = aged(model, nowMs);
  const { ms, variance, pull } = predict(before, shape);
  const deviation = Math.sqrt(variance);
  const surprise = Math.log(Math.max(tookMs, 1) / ms) / deviation;
  const used = Math.max(-SURPRISE_MAX, Math.min(SURPRISE_MAX, surprise));
  const scatter = before.scatter + SCATTER_RATE * (used ** 2 - 1) * variance;
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
 * The model after a proof that was killed after `ranMs`, and would have taken at least that. Rises
 * by what such a proof is expected to exceed its prediction; lowers the prediction of no shape.
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

/** Milliseconds that each entry of the table adds. */
function partsMs({ logMs }: CostModel, { raws, children }: Shape): number[] {
  const of = (counts: readonly number[]) => logMs.map((log, i) => at(counts, i) * Math.exp(log));
  const alone = of([1, raws, raws * raws, 0, 0]);
  const folded = of([0, 0, 0, children, raws]);
  return children > 0 && sum(folded) > sum(alone) ? folded : alone;
}

interface Prediction {
  ms: number;
  /** Variance of the logarithm of the duration. */
  variance: number;
  /** Covariance of that logarithm with each of the model's: how far a sample moves each. */
  pull: readonly number[];
}

function predict(model: CostModel, shape: Shape): Prediction {
  const parts = partsMs(model, shape);
  const ms = sum(parts);
  const shares = parts.map((part) => part / ms);
  const pull = model.covariance.map((row) => dot(row, shares));
  return { ms, variance: dot(pull, shares) + model.scatter, pull };
}

/** A quantile of the duration, in ms; `deviations` are standard deviations above the median. */
export function quantileMs(model: CostModel, shape: Shape, deviations: number): number {
  const { ms, variance } = predict(model, shape);
  return ms * Math.exp(deviations * Math.sqrt(variance));
}

/** Mean of a standard normal variable's values beyond z, within a fifth; the tail by a logistic. */
function meanBeyond(z: number): number {
  const density = Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  return Math.max(z, density * (1 + Math.exp(LOGISTIC * z)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((value, i) => value * at(b, i)));
}

/** The covariance, moved towards the initial one; `kept` is 1 when nothing is forgotten. */
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
