/**
 * What needs no prediction: first come, first served, and what clients do today. Neither cuts,
 * kills or tries again; one session a node and priority at a time is the protocol's rule, so they
 * keep it too.
 */
import type { Ask, Scenario, SnapshotSpec } from "../scenario/scenario.js";
import type { Run } from "../measure/run.js";
import { simulate } from "../simulate.js";

/** First come, first served: one queue, a group starts while its deadline is not over. */
export function firstCome(scenario: Scenario): Run {
  return simulate(scenario, (end) => {
    let queue: Ask[] = [];
    const sessions = new OpenSessions();
    const dropExpired = (nowMs: number) => {
      const expired = queue.filter(({ deadlineAtMs }) => nowMs >= deadlineAtMs);
      for (const ask of expired) {
        end(ask, "not_started deadline");
        sessions.close(ask);
      }
      queue = queue.filter((ask) => !expired.includes(ask));
    };
    return {
      killsAtFence: false,
      arrive(asks, snapshot, nowMs) {
        dropExpired(nowMs);
        if (sessions.hasOpen(snapshot)) {
          for (const ask of asks) end(ask, "skipped in_flight");
          return;
        }
        sessions.open(asks);
        queue.push(...asks);
      },
      next(_lane, nowMs) {
        dropExpired(nowMs);
        return queue.shift();
      },
      finished: (ask) => sessions.close(ask),
    };
  });
}

/** What clients do today: an idle lane takes a snapshot, which keeps it; all others are skipped. */
export function skipWhenBusy(scenario: Scenario): Run {
  return simulate(scenario, (end) => {
    const own: Ask[][] = Array.from({ length: scenario.lanes }, () => []);
    const proving = new Set<number>();
    return {
      killsAtFence: false,
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

/** Counts the groups that have not ended, by node and priority. */
export class OpenSessions {
  private readonly groups = new Map<string, number>();

  hasOpen(snapshot: SnapshotSpec): boolean {
    return (this.groups.get(ownerOf(snapshot)) ?? 0) > 0;
  }

  open(asks: readonly Ask[]): void {
    for (const { snapshot } of asks) this.add(snapshot, 1);
  }

  /** One of the groups has ended. */
  close({ snapshot }: Ask): void {
    this.add(snapshot, -1);
  }

  private add(snapshot: SnapshotSpec, count: number): void {
    const owner = ownerOf(snapshot);
    this.groups.set(owner, (this.groups.get(owner) ?? 0) + count);
  }
}

const ownerOf = ({ node, priority }: SnapshotSpec) => `${node}/${priority}`;
