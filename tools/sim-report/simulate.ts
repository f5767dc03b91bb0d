/**
 * Runs a scenario under a policy as a small discrete-event simulation, over the same arrivals and
 * true durations as the service. A policy proves whole groups, each once.
 */
import type { Ask, Scenario, SnapshotSpec } from "./scenario/scenario.js";
import { asksOfSnapshot, contentOfGroup } from "./scenario/scenario.js";
import type { AskResult, ProofRecord, Run } from "./measure/run.js";
import { notProved } from "./measure/run.js";
import { EXIT_MS } from "./scenario/truth.js";
import { votesOf } from "./scenario/votes.js";

/** Decides who is heard and what an idle lane takes up; it ends each ask that it does not start. */
export interface Policy {
  /** Whether a proof is killed at its fence; else it goes on, for nothing. */
  readonly killsAtFence: boolean;
  arrive(asks: readonly Ask[], snapshot: SnapshotSpec, nowMs: number): void;
  /** Undefined when there is nothing for the lane. */
  next(lane: number, nowMs: number): Ask | undefined;
  /** The lane is free again; it is asked for its next group right after. */
  finished(ask: Ask, proof: ProofRecord): void;
}

export type End = (ask: Ask, ending: string) => void;

interface Proving {
  ask: Ask;
  proof: ProofRecord;
  /** The lane takes the next group from here on. */
  freeAtMs: number;
}

export function simulate(scenario: Scenario, makePolicy: (end: End) => Policy): Run {
  const run: Run = { asks: [], proofs: [], refusals: [], preemptions: [] };
  const results = new Map<Ask, AskResult>();
  const policy = makePolicy((ask, ending) => results.set(ask, notProved(ending)));
  const lanes: (Proving | undefined)[] = Array.from({ length: scenario.lanes }, () => undefined);
  const attempts = new Map<string, number>();
  const arrivals = [...scenario.snapshots];
  const all: Ask[] = [];
  for (;;) {
    const ends = lanes.flatMap((lane) => (lane === undefined ? [] : [lane.freeAtMs]));
    const nowMs = Math.min(arrivals[0]?.atMs ?? Infinity, ...ends);
    if (nowMs === Infinity) break;
    lanes.forEach((proving, at) => {
      if (proving === undefined || proving.freeAtMs > nowMs) return;
      lanes[at] = undefined;
      policy.finished(proving.ask, proving.proof);
    });
    offer(nowMs);
    while (arrivals[0]?.atMs === nowMs) {
      const snapshot = arrivals.shift();
      if (snapshot === undefined) break;
      const asks = asksOfSnapshot(snapshot);
      all.push(...asks);
      policy.arrive(asks, snapshot, nowMs);
      // At once, so that the next one finds the lane taken.
      offer(nowMs);
    }
  }
  run.asks = all.map((ask) => results.get(ask) ?? notProved("lost"));
  return run;

  function offer(nowMs: number): void {
    lanes.forEach((proving, lane) => {
      const ask = proving === undefined ? policy.next(lane, nowMs) : undefined;
      if (ask === undefined) return;
      const content = contentOfGroup(ask.group);
      const nth = attempts.get(content) ?? 0;
      attempts.set(content, nth + 1);
      const { killsAtFence } = policy;
      const started = prove({ scenario, lane, ask, content, nowMs, nth, killsAtFence });
      lanes[lane] = started.proving;
      run.proofs.push(started.proving.proof);
      results.set(ask, started.result);
    });
  }
}

interface Attempt {
  scenario: Scenario;
  lane: number;
  ask: Ask;
  content: string;
  nowMs: number;
  nth: number;
  killsAtFence: boolean;
}

/** How it will go is known at its start. */
function prove({ scenario, lane, ask, content, nowMs, nth, killsAtFence }: Attempt) {
  const { truth } = scenario;
  const { group, fenceAtMs } = ask;
  const tookMs = truth.wholeMs(lane, group);
  const isCrash = truth.crashes(content, nth);
  const wouldEndAtMs = nowMs + (isCrash ? tookMs / 2 : tookMs);
  const isKilled = killsAtFence && wouldEndAtMs >= fenceAtMs;
  const endedAtMs = isKilled ? fenceAtMs + EXIT_MS : wouldEndAtMs;
  const isInTime = !isCrash && endedAtMs < fenceAtMs;
  const proof: ProofRecord = {
    lane,
    content,
    startedAtMs: nowMs,
    endedAtMs,
    end: isKilled ? "fence" : isCrash ? "died" : "proved",
    served: isInTime ? 1 : 0,
  };
  const result: AskResult = {
    ...notProved(isInTime ? "proved" : isCrash && !isKilled ? "failed" : "after its fence"),
    startedAtMs: nowMs,
    ...(isInTime ? { provedAtMs: endedAtMs, represented: votesOf(group), isWhole: true } : {}),
  };
  const freeAtMs = proof.end === "died" ? endedAtMs + EXIT_MS : endedAtMs;
  return { proving: { ask, proof, freeAtMs }, result };
}
