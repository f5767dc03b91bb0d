/** One scenario under every policy. */
import { firstCome, skipWhenBusy } from "./baselines.js";
import type { Measures } from "./measures.js";
import { measure } from "./measures.js";
import { optimum } from "./optimum.js";
import type { Run } from "./run.js";
import type { Ask, Scenario, SnapshotSpec } from "./scenario.js";
import { asksOf, distinctVotes } from "./scenario.js";
import { ServiceRun } from "./service-run.js";

export const policies = ["ours", "first come", "skip when busy"] as const;
export type Policy = (typeof policies)[number];

export interface Evaluation {
  workload: string;
  budgetOverCost: number;
  seed: number;
  runs: Record<Policy, Run>;
  measures: Record<Policy, Measures>;
}

export async function evaluate(scenario: Scenario): Promise<Evaluation> {
  const { workload, budgetOverCost, seed } = scenario;
  const runs = {
    ours: await new ServiceRun(scenario).result(),
    "first come": firstCome(scenario),
    "skip when busy": skipWhenBusy(scenario),
  };
  const measures = {
    ours: measure(scenario, runs.ours),
    "first come": measure(scenario, runs["first come"]),
    "skip when busy": measure(scenario, runs["skip when busy"]),
  };
  return { workload, budgetOverCost, seed, runs, measures };
}

/** What a policy reached in one burst, whole groups only, and what was within reach. */
export interface Reached {
  groups: number;
  votes: number;
}

export interface BurstComparison {
  budgetOverCost: number;
  asked: Reached;
  /** Knowing true durations, and starting something wherever a lane is idle, as a service does. */
  optimum: Reached;
  /** Knowing the arrivals too, and waiting for them. */
  allKnowing: Reached;
  reached: Record<Policy, Reached>;
}

/** Of each judged burst of a small scenario. */
export function compareWithOptimum(scenario: Scenario, { runs }: Evaluation): BurstComparison[] {
  const asks = asksOf(scenario);
  const bursts = new Map<number, SnapshotSpec[]>();
  for (const snapshot of scenario.snapshots) {
    if (snapshot.atMs < scenario.judgedFromMs) continue;
    bursts.set(snapshot.slot, [...(bursts.get(snapshot.slot) ?? []), snapshot]);
  }
  return [...bursts].map(([slot, snapshots]) => {
    const reachedBy = (isCounted: (at: number) => boolean) =>
      reached(asks.filter((ask, at) => ask.snapshot.slot === slot && isCounted(at)));
    const by = (policy: Policy) => reachedBy((at) => runs[policy].asks[at]?.isWhole === true);
    return {
      budgetOverCost: scenario.budgetOverCost,
      asked: reachedBy(() => true),
      optimum: optimum(snapshots, scenario, { mayWait: false }),
      allKnowing: optimum(snapshots, scenario, { mayWait: true }),
      reached: {
        ours: by("ours"),
        "first come": by("first come"),
        "skip when busy": by("skip when busy"),
      },
    };
  });
}

function reached(asks: readonly Ask[]): Reached {
  return { groups: asks.length, votes: distinctVotes(asks) };
}
