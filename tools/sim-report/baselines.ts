/**
 * What the schedule is compared with, as small discrete-event simulations over the same arrivals
 * and true durations. Neither predicts, cuts, kills or tries again; one session a node and priority
 * at a time is the protocol's rule, so they keep it too.
 */
import type { Ask, Scenario, SnapshotSpec } from "./scenario.js";
import { asksOfSnapshot, contentOfGroup } from "./scenario.js";
import type { AskResult, ProofRecord, Run } from "./run.js";
import { notProved } from "./run.js";
import { EXIT_MS } from "./truth.js";

/** Decides who is heard and what an idle lane takes up; each ask not started it ends itself. */
interface Policy {
  arrive(asks: readonly Ask[], snapshot: SnapshotSpec, nowMs: number): void;
  /** Undefined when there is nothing for the lane. */
  next(lane: number, nowMs: number): Ask | undefined;
  finished(ask: Ask): void;
}

type End = (ask: Ask, ending: string) => void;

interface Proving {
  ask: Ask;
  proof: ProofRecord;
  /** The lane takes the next group from here on. */
  freeAtMs: number;
}

/** First come, first served: one queue, a group starts while its deadline is not over. */
export function firstCome(scenario: Scenario): Run {
  return simulate(scenario, (end) => {
    let queue: Ask[] = [];
    const open = new Map<string, number>();
    const owner = ({ node, priority }: SnapshotSpec) => `${node}/${priority}`;
    const close = ({ snapshot }: Ask) =>
      open.set(owner(snapshot), (open.get(owner(snapshot)) ?? 1) - 1);
    const dropExpired = (nowMs: number) => {
      const expired = queue.filter(({ deadlineAtMs }) => nowMs >= deadlineAtMs);
      for (const ask of expired) {
        end(ask, "not_started deadline");
        close(ask);
      }
      queue = queue.filter((ask) => !expired.includes(ask));
    };
    return {
      arrive(asks, snapshot, nowMs) {
        dropExpired(nowMs);
        if ((open.get(owner(snapshot)) ?? 0) > 0) {
          for (const ask of asks) end(ask, "skipped in_flight");
          return;
        }
        open.set(owner(snapshot), asks.length);
        queue.push(...asks);
      },
      next(_lane, nowMs) {
        dropExpired(nowMs);
        return queue.shift();
      },
      finished: close,
    };
  });
}

/** What clients do today: an idle lane takes a snapshot, which keeps it; all others are skipped. */
export function skipWhenBusy(scenario: Scenario): Run {
  return simulate(scenario, (end) => {
    const own: Ask[][] = Array.from({ length: scenario.lanes }, () => []);
    const proving = new Set<number>();
    return {
      arrive(asks) {
        const idle = own.findIndex((queue, lane) => queue.length === 0 && !proving.has(lane));
        if (idle < 0) for (const ask of asks) end(ask, "skipped busy");
        else own[idle] = [...asks];
      },
      next(lane, nowMs) {
        const queue = own[lane] ?? [];
        const isOver = ({ deadlineAtMs }: Ask) => nowMs >= deadlineAtMs;
        for (const ask of queue.filter(isOver)) end(ask, "not_started deadline");
        own[lane] = queue.filter((ask) => !isOver(ask));
        const next = own[lane]?.shift();
        if (next === undefined) proving.delete(lane);
        else proving.add(lane);
        return next;
      },
      finished: () => undefined,
    };
  });
}

function simulate(scenario: Scenario, makePolicy: (end: End) => Policy): Run {
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
      policy.finished(proving.ask);
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
      const started = prove({ scenario, lane, ask, nowMs, nth });
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
  nowMs: number;
  nth: number;
}

/** How it will go is known at its start: nothing here is ever killed. */
function prove({ scenario: { truth }, lane, ask, nowMs, nth }: Attempt) {
  const { group, fenceAtMs } = ask;
  const content = contentOfGroup(group);
  const tookMs = truth.wholeMs(lane, group);
  const isCrash = truth.crashes(content, nth);
  const endedAtMs = nowMs + (isCrash ? tookMs / 2 : tookMs);
  const isInTime = !isCrash && endedAtMs < fenceAtMs;
  const proof: ProofRecord = {
    lane,
    content,
    startedAtMs: nowMs,
    endedAtMs,
    end: isCrash ? "died" : "proved",
    served: isInTime ? 1 : 0,
  };
  const result: AskResult = {
    ...notProved(isInTime ? "proved" : isCrash ? "failed" : "after its fence"),
    startedAtMs: nowMs,
    ...(isInTime ? { provedAtMs: endedAtMs, represented: group.raws, isWhole: true } : {}),
  };
  const freeAtMs = isCrash ? endedAtMs + EXIT_MS : endedAtMs;
  return { proving: { ask, proof, freeAtMs }, result };
}
