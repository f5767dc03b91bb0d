/**
 * The cost models of one device, one for each rate of the proof system: a rate changes what every
 * part of a proof costs. Pure. Of one kind of proofs: a message's votes and children in one proof.
 */
import type { CostModel } from "./cost-model.js";
import { aged, freshCostModel, uncertain } from "./cost-model.js";

export interface RateCosts {
  /** log2 of the proof system's inverse rate; 0: the backend's default. */
  readonly logInvRate: number;
  readonly model: CostModel;
}

/** In ascending order of the rate, each once. */
export type Costs = readonly RateCosts[];

/**
 * The model of a rate. One of which nothing is learned yet is taken to cost as much as the lowest
 * rate that is known, as uncertainly as at first.
 */
export function modelOf(costs: Costs, logInvRate = 0): CostModel {
  const known = costs.find((each) => each.logInvRate === logInvRate);
  if (known !== undefined) return known.model;
  const [lowest] = costs;
  return lowest === undefined ? freshCostModel : uncertain(lowest.model);
}

/** The costs with this model of the rate, in place of its earlier one. */
export function withModel(costs: Costs, logInvRate: number, model: CostModel): Costs {
  const others = costs.filter((each) => each.logInvRate !== logInvRate);
  return [...others, { logInvRate, model }].sort((a, b) => a.logInvRate - b.logInvRate);
}

/** The costs with the larger uncertainty of a later instant. */
export function agedCosts(costs: Costs, nowMs: number): Costs {
  return costs.map(({ logInvRate, model }) => ({ logInvRate, model: aged(model, nowMs) }));
}
