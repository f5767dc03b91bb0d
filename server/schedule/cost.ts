/**
 * What a proof costs, as a function of its shape: a table measured on two cores, scaled by what
 * this device's proofs took, with how far they scatter around it. Pure; one model per device. Used
 * at accept (optimistic), at dispatch (pessimistic) and to tell a long proof from a wedged prover.
 */

/** How far scale and spread move to a new sample. */
const LEARNING_RATE = 0.3;
/** Proofs of one shape differ this much before any was seen. */
const SPREAD_AT_FIRST = 0.3;
/** However well proofs agree, the next one may differ by this. */
const SPREAD_MIN = 0.1;
/** A proof is wedged beyond this multiple of its pessimistic prediction, and never before 10 s. */
const OVERRUN_FACTOR = 4;
const OVERRUN_MS_MIN = 10_000;

export interface CostModel {
  /** Multiplies the table. */
  readonly scale: number;
  /** Mean relative distance of a proof from its prediction. */
  readonly spread: number;
}

export const freshCostModel: CostModel = { scale: 1, spread: SPREAD_AT_FIRST };

/** Milliseconds on the table's machine: raws grow faster than linearly, a child costs seconds. */
function tableMs(raws: number, children: number): number {
  const rawMs = 800 + 5 * raws + 0.25 * raws * raws;
  if (children === 0) return rawMs;
  return 200 + children * 2600 + (raws === 0 ? 0 : 12 * raws);
}

export function predictMs(model: CostModel, raws: number, children: number): number {
  return model.scale * tableMs(raws, children);
}

/** Most proofs take longer than this. */
export function optimisticMs(model: CostModel, raws: number, children: number): number {
  return predictMs(model, raws, children) * (1 - Math.min(model.spread, 0.5));
}

/** Most proofs take less than this. */
export function pessimisticMs(model: CostModel, raws: number, children: number): number {
  return predictMs(model, raws, children) * (1 + model.spread);
}

/** Longer than this is no proof any more but a prover that hangs. */
export function overrunMs(model: CostModel, raws: number, children: number): number {
  return Math.max(OVERRUN_MS_MIN, OVERRUN_FACTOR * pessimisticMs(model, raws, children));
}

export function learn(model: CostModel, raws: number, children: number, tookMs: number): CostModel {
  const ratio = tookMs / tableMs(raws, children);
  const distance = Math.abs(ratio / model.scale - 1);
  return {
    scale: model.scale + LEARNING_RATE * (ratio - model.scale),
    spread: Math.max(SPREAD_MIN, model.spread + LEARNING_RATE * (distance - model.spread)),
  };
}

/** A proof was killed after so long: it would have taken that at least. */
export function learnAtLeast(
  model: CostModel,
  raws: number,
  children: number,
  ranMs: number,
): CostModel {
  return ranMs <= predictMs(model, raws, children) ? model : learn(model, raws, children, ranMs);
}
