/** One scenario under every policy. */
import { firstCome, skipWhenBusy } from "../policies/baselines.js";
import { gateway } from "../policies/gateway.js";
import type { Measures } from "./measures.js";
import { bestWeight, measure } from "./measures.js";
import { optimum } from "../policies/optimum.js";
import type { Run } from "./run.js";
import type { Ask, Scenario, SnapshotSpec } from "../scenario/scenario.js";
import { asksOf } from "../scenario/scenario.js";
import { ServiceRun } from "../policies/service-run.js";
import { countVotes, votesOf, weightAt } from "../scenario/votes.js";

export const baselines = ["gateway", "first come", "skip when busy"] as const;
export const policies = ["ours", ...baselines] as const;
export type Policy = (typeof policies)[number];

export interface Evaluation {
  workload: string;
  budgetOverCost: number;
  seed: number;
  runs: Record<Policy, Run>;
  measures: Record<Policy, Measures>;
  /** As in `Scenario`. */
  then?: readonly string[];
}

export async function evaluate(scenario: Scenario): Promise<Evaluation> {
  const { workload, budgetOverCost, seed } = scenario;
  const runs = {
    ours: await new ServiceRun(scenario).result(),
    gateway: gateway(scenario),
    "first come": firstCome(scenario),
    "skip when busy": skipWhenBusy(scenario),
  };
  const measures = byPolicy((policy) => measure(scenario, runs[policy]));
  const recorded = scenario.then === undefined ? {} : { then: scenario.then };
  return { workload, budgetOverCost, seed, runs, measures, ...recorded };
}

function byPolicy<T>(of: (policy: Policy) => T): Record<Policy, T> {
  return {
    ours: of("ours"),
    gateway: of("gateway"),
    "first come": of("first come"),
    "skip when busy": of("skip when busy"),
  };
}

/** What a policy reached in one burst, whole groups only, and what was within reach. */
export interface Reached {
  groups: number;
  votes: number;
  /** Sum of what each vote is worth. */
  worth: number;
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
  const asks = asksOf(scenario).map((ask, at) => ({ ask, at }));
  const bursts = new Map<number, SnapshotSpec[]>();
  for (const snapshot of scenario.snapshots) {
    if (snapshot.atMs < scenario.judgedFromMs) continue;
    bursts.set(snapshot.slot, [...(bursts.get(snapshot.slot) ?? []), snapshot]);
  }
  return [...bursts].map(([slot, snapshots]) => {
    const own = asks.filter(({ ask }) => ask.snapshot.slot === slot);
    return {
      budgetOverCost: scenario.budgetOverCost,
      asked: reached(own, ({ ask }) => bestWeight(scenario, ask)),
      optimum: optimum(snapshots, scenario, { mayWait: false }),
      allKnowing: optimum(snapshots, scenario, { mayWait: true }),
      reached: byPolicy((policy) => {
        const whole = own.filter(({ at }) => runs[policy].asks[at]?.isWhole === true);
        const readyAtMs = (at: number) => runs[policy].asks[at]?.provedAtMs ?? Infinity;
        return reached(whole, ({ ask, at }) => weightAt(ask.snapshot.steps, readyAtMs(at)));
      }),
    };
  });
}

interface AskAt {
  ask: Ask;
  /** Its place in the run's asks. */
  at: number;
}

function reached(asks: readonly AskAt[], weightOf: (ask: AskAt) => number): Reached {
  const parts = asks.map((each) => {
    const { group } = each.ask;
    return { root: group.root, validators: votesOf(group), weight: weightOf(each) };
  });
  return { groups: asks.length, ...countVotes(parts) };
}
