/**
 * What a proof costs, as a function of its shape, learned on the device that makes the proofs. Pure;
 * one model per device. Used at accept (optimistic), at dispatch (pessimistic) and to tell a long
 * proof from a wedged prover.
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
 * Milliseconds measured on two cores: a proof, a raw signature, its square; a child, a raw signature
 * beside children.
 */
const TABLE_MS = [770, 2, 0.3, 2750, 42] as const;
/** Standard deviation of the logarithms of all at once: a device is twice as fast, or half. */
const COMMON_DEVIATION = 0.7;
/**
 * And of each alone. A child is a proof to check, much the same work on any device; were it as
 * uncertain as the rest, none would fit into a fence of two slots before the first was proved.
 */
const OWN_DEVIATIONS = [0.3, 0.3, 0.3, 0.2, 0.2] as const;
/** Proofs of one shape scatter so before any was seen, as a variance; and how little, how much. */
const SCATTER_AT_FIRST = 0.15 ** 2;
const SCATTER_MIN = 0.05 ** 2;
const SCATTER_MAX = 0.5 ** 2;
/** How far the scatter moves to a new sample. */
const SCATTER_RATE = 0.05;
/** What was learned is forgotten at this rate; between two slots that allows for a drift of 3 %. */
const FORGET_MS = 30 * 60_000;
/** A sample is taken for no more than so many standard deviations from its prediction. */
const SURPRISE_MAX = 3;
/** What is kept of what was learned after such a sample: the device may not be what it was. */
const KEPT_AT_SURPRISE = 0.9;
/** Standard deviations from the middle of a normal distribution to 2 % below and 98 % below. */
export const OPTIMISTIC_AT = -2.054;
const PESSIMISTIC_AT = 2.054;
/** A normal distribution is within a hundredth of a logistic one of so many to a deviation. */
export const LOGISTIC = 1.702;
/** A proof is wedged beyond this multiple of its pessimistic prediction, and never before 10 s. */
const OVERRUN_FACTOR = 4;
const OVERRUN_MS_MIN = 10_000;

export interface CostModel {
  /** Natural logarithms of the milliseconds in the table. */
  readonly logMs: readonly number[];
  /** How uncertain they are: the rows of their covariance. */
  readonly covariance: readonly (readonly number[])[];
  /** Variance of the logarithm of a proof's time, were its prediction perfect. */
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

/** As many proofs take longer as take less. */
export function predictMs(model: CostModel, shape: Shape): number {
  return sum(partsMs(model, shape));
}

/** One proof in fifty takes less than this, as far as the model knows. */
export function optimisticMs(model: CostModel, shape: Shape): number {
  return quantileMs(model, shape, OPTIMISTIC_AT);
}

/** One proof in fifty takes longer than this, as far as the model knows. */
export function pessimisticMs(model: CostModel, shape: Shape): number {
  return quantileMs(model, shape, PESSIMISTIC_AT);
}

/** Longer than this is no proof any more but a prover that hangs. */
export function overrunMs(model: CostModel, shape: Shape): number {
  return Math.max(OVERRUN_MS_MIN, OVERRUN_FACTOR * pessimisticMs(model, shape));
}

/** The model as uncertain as it is by then; what it predicts is the same. */
export function aged(model: CostModel, nowMs: number): CostModel {
  const kept = Math.exp(-Math.max(0, nowMs - model.atMs) / FORGET_MS);
  const covariance = forget(model.covariance, kept);
  return { ...model, covariance, atMs: Math.max(nowMs, model.atMs) };
}

/** A proof took so long. */
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
 * A proof was killed after so long, and would have taken that at least: moves by what such a proof
 * is expected to exceed its prediction, and lowers the prediction of no shape.
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

/** What each entry of the table adds, in milliseconds. */
function partsMs({ logMs }: CostModel, { raws, children }: Shape): number[] {
  const of = (counts: readonly number[]) => logMs.map((log, i) => at(counts, i) * Math.exp(log));
  const alone = of([1, raws, raws * raws, 0, 0]);
  const folded = of([0, 0, 0, children, raws]);
  return children > 0 && sum(folded) > sum(alone) ? folded : alone;
}

interface Prediction {
  ms: number;
  /** Of the logarithm of what a proof takes. */
  variance: number;
  /** Covariance of that logarithm with each of the model's: how far a sample pulls each along. */
  pull: readonly number[];
}

function predict(model: CostModel, shape: Shape): Prediction {
  const parts = partsMs(model, shape);
  const ms = sum(parts);
  const shares = parts.map((part) => part / ms);
  const pull = model.covariance.map((row) => dot(row, shares));
  return { ms, variance: dot(pull, shares) + model.scatter, pull };
}

/** What a proof takes so many standard deviations above the middle; `OPTIMISTIC_AT` is one of them. */
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

/** From what is known towards what was known at first; `kept` is 1 for nothing forgotten. */
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
