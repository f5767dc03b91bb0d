/**
 * The cost models of one device, one for each kind of proofs and each rate of the proof system: both
 * change what every part of a proof costs. A merge's parts are a fold's, so its model has the same
 * form: the proofs of its components are children, and raw signatures cost what they do, of however
 * many messages. Pure.
 */
import type { JobKind } from "../../../native/addon.js";
import type { CostModel } from "./cost-model.js";
import { aged, freshCostModel, mergeModelOf, uncertain } from "./cost-model.js";
import { kindOf } from "../shape.js";
import type { Shape } from "../shape.js";

/** The model of one kind of proofs at one rate. */
export interface RateCosts {
  readonly kind: JobKind;
  /** log2 of the proof system's inverse rate; 0: the backend's default. */
  readonly logInvRate: number;
  readonly model: CostModel;
}

/** Folds first, each kind in ascending order of the rate, each once. */
export type Costs = readonly RateCosts[];

/** What of a shape says which model is its own. */
export type CostKey = Pick<Shape, "messages" | "logInvRate">;

/**
 * The model of proofs of this shape. A rate of which nothing is learned yet is taken to cost as much as the
 * lowest one of its kind that is known, as uncertainly as at first. What a first merge costs follows from a
 * fold of its rate, nearly as certainly: the same prover verifies proofs in both.
 *
 * @param key default: folds at the backend's default rate
 */
export function modelOf(costs: Costs, key: CostKey = {}): CostModel {
  const { logInvRate = 0 } = key;
  const kind = kindOf(key);
  const alike = costs.filter((each) => each.kind === kind);
  const known = alike.find((each) => each.logInvRate === logInvRate);
  if (known !== undefined) return known.model;
  const [lowest] = alike;
  if (lowest !== undefined) return uncertain(lowest.model);
  return kind === "fold" ? freshCostModel : mergeModelOf(modelOf(costs, { logInvRate }));
}

/** The costs with this model of the kind and rate, in place of the earlier one. */
export function withModel(costs: Costs, key: CostKey, model: CostModel): Costs {
  const own: RateCosts = { kind: kindOf(key), logInvRate: key.logInvRate ?? 0, model };
  const others = costs.filter((each) => compareCosts(each, own) !== 0);
  return [...others, own].sort(compareCosts);
}

/** Negative when `a` comes before `b`; 0 for the same kind and rate. */
export function compareCosts(
  a: Pick<RateCosts, "kind" | "logInvRate">,
  b: Pick<RateCosts, "kind" | "logInvRate">,
): number {
  return Number(a.kind === "merge") - Number(b.kind === "merge") || a.logInvRate - b.logInvRate;
}

/** The costs with the larger uncertainty of a later instant. */
export function agedCosts(costs: Costs, nowMs: number): Costs {
  return costs.map((each) => ({ ...each, model: aged(each.model, nowMs) }));
}
