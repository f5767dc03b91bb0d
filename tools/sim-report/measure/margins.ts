/** By how much the service is ahead of the best baseline in weighted votes. Pure. */
import type { Evaluation, Policy } from "./evaluate.js";
import { baselines } from "./evaluate.js";
import { AS_RECORDED } from "../scenario/scenario.js";
import { total, worthShare } from "./total.js";

/** The service against the baseline that does best, of the same work. */
export interface Margin {
  /** Name of the workload, or the budget over a typical proof's cost. */
  name: string;
  /** Weighted votes of each policy, as a share of the best possible weight. */
  shares: ReadonlyMap<Policy, number>;
  /** The best baseline. */
  against: Policy;
  /** Share of the service less that of the best baseline; negative where the service is behind. */
  ahead: number;
}

/** Of all runs, or of those that are in. */
export function marginOf(
  name: string,
  evaluations: readonly Evaluation[],
  isIn: (evaluation: Evaluation) => boolean = () => true,
): Margin {
  const of = (policy: Policy) => worthShare(total(evaluations, policy, isIn));
  const ours = of("ours");
  const others = baselines.map((policy): [Policy, number] => [policy, of(policy)]);
  const best = others.reduce((first, each) => (each[1] > first[1] ? each : first));
  const shares = new Map<Policy, number>([["ours", ours], ...others]);
  return { name, shares, against: best[0], ahead: ours - best[1] };
}

export function budgetsOf(evaluations: readonly Evaluation[]): number[] {
  return [...new Set(evaluations.map(({ budgetOverCost }) => budgetOverCost))];
}

export function workloadsOf(evaluations: readonly Evaluation[]): string[] {
  return [...new Set(evaluations.map(({ workload }) => workload))];
}

export const budgetName = (budget: number) => (budget === AS_RECORDED ? "recorded" : `${budget}`);

export function marginsByBudget(evaluations: readonly Evaluation[]): Margin[] {
  return budgetsOf(evaluations).map((budget) =>
    marginOf(budgetName(budget), evaluations, ({ budgetOverCost }) => budgetOverCost === budget),
  );
}

export function marginsByWorkload(evaluations: readonly Evaluation[]): Margin[] {
  return workloadsOf(evaluations).map((name) =>
    marginOf(name, evaluations, ({ workload }) => workload === name),
  );
}

/** A row for each workload, in it one margin for each budget; undefined where it was not run. */
export function marginsByPair(evaluations: readonly Evaluation[]): (Margin | undefined)[][] {
  return workloadsOf(evaluations).map((name) =>
    budgetsOf(evaluations).map((budget) => {
      const own = evaluations.filter(
        ({ workload, budgetOverCost }) => workload === name && budgetOverCost === budget,
      );
      return own.length === 0 ? undefined : marginOf(`${name} at ${budgetName(budget)}`, own);
    }),
  );
}
