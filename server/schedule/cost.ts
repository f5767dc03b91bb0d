/**
 * What a proof costs, as a function of its shape: a table measured on two cores, scaled by what
 * this device's proofs took. Pure; one model per device. Used at accept and at dispatch.
 */

/** How far the scale moves to a new sample. */
const LEARNING_RATE = 0.3;

export interface CostModel {
  /** Multiplies the table. */
  readonly scale: number;
}

export const freshCostModel: CostModel = { scale: 1 };

/** Milliseconds on the table's machine: raws grow faster than linearly, a child costs seconds. */
function tableMs(raws: number, children: number): number {
  const rawMs = 800 + 5 * raws + 0.25 * raws * raws;
  if (children === 0) return rawMs;
  return 200 + children * 2600 + (raws === 0 ? 0 : 12 * raws);
}

export function predictMs(model: CostModel, raws: number, children: number): number {
  return model.scale * tableMs(raws, children);
}

export function learn(model: CostModel, raws: number, children: number, tookMs: number): CostModel {
  const ratio = tookMs / tableMs(raws, children);
  return { scale: model.scale + LEARNING_RATE * (ratio - model.scale) };
}
