/**
 * When votes were in a proof that the network had, measured at the nodes: a vote is published once
 * most of the nodes that do not aggregate have verified and stored a proof with it. Pure.
 */
import type { RunHeader, RunRecord } from "../run/run-file.js";

/** `castMs` and `publishedMs`: milliseconds after the start of the vote's slot; null: never. */
export interface VoteTimes {
  slot: number;
  validator: number;
  castMs: number;
  publishedMs: number | null;
}

type Of<K extends RunRecord["kind"]> = Extract<RunRecord, { kind: K }>;

export function voteTimes(header: RunHeader, records: readonly RunRecord[]): VoteTimes[] {
  const { aggregators, nodes, slotMs } = header;
  const others = nodes - aggregators.length;
  const most = Math.floor(others / 2) + 1;
  const stored = firstStored(
    records.filter(
      (record): record is Of<"received"> & { node: number } =>
        record.kind === "received" && !aggregators.includes(record.node),
    ),
  );
  const cast = records.filter((record): record is Of<"voted"> => record.kind === "voted");
  return cast.map(({ slot, validator, message, atMs }) => {
    const times = [...(stored.get(`${message} ${validator}`)?.values() ?? [])];
    const publishedAtMs = times.sort((a, b) => a - b)[most - 1];
    const sinceStart = (at: number) => at - slot * slotMs;
    const publishedMs = publishedAtMs === undefined ? null : sinceStart(publishedAtMs);
    return { slot, validator, castMs: sinceStart(atMs), publishedMs };
  });
}

/** When each node first stored a vote, by message and validator, then by node. */
function firstStored(received: readonly (Of<"received"> & { node: number })[]) {
  const stored = new Map<string, Map<number, number>>();
  for (const { node, message, validators, atMs } of received) {
    for (const validator of validators) {
      const key = `${message} ${validator}`;
      const byNode = stored.get(key) ?? new Map<number, number>();
      stored.set(key, byNode);
      byNode.set(node, Math.min(atMs, byNode.get(node) ?? Infinity));
    }
  }
  return stored;
}

/** Until when a publication counts, in milliseconds after the start of the vote's slot. */
export function publishingTimes({ slotMs, intervals }: Pick<RunHeader, "slotMs" | "intervals">) {
  const start = (interval: number) => (interval * slotMs) / intervals;
  return { safeTarget: start(intervals - 2), accept: start(intervals - 1), fence: 2 * slotMs };
}

export const isPublishedBy = ({ publishedMs }: VoteTimes, untilMs: number): boolean =>
  publishedMs !== null && publishedMs < untilMs;

/** The slots in which votes were cast, and none was published by its fence. */
export function slotsWithoutAggregate(votes: readonly VoteTimes[], fenceMs: number): number[] {
  const bySlot = new Map<number, boolean>();
  for (const vote of votes)
    bySlot.set(vote.slot, bySlot.get(vote.slot) === true || isPublishedBy(vote, fenceMs));
  return [...bySlot].flatMap(([slot, hasAggregate]) => (hasAggregate ? [] : [slot]));
}
