/**
 * What finality would have been had votes been in proofs at other times: the chain's rules played
 * over one store, without forks and without the time that blocks travel. The differences
 * between the replays separate the causes of the lag. Pure.
 */
import { hex, messageOf, participantsOf, type AttestationData } from "../chain/containers.js";
import { buildBlock } from "../chain/propose.js";
import { Store } from "../chain/store.js";
import type { RunHeader, RunRecord } from "../run/run-file.js";
import { FAULT_AT } from "../run/scenario.js";
import { publishingTimes, voteTimes, type VoteTimes } from "./published.js";

export interface LagPoint {
  slot: number;
  value: number;
}

/** Finality lag by slot in three replays of a run. */
export interface Replays {
  /** Every vote is published just before the safe target, every slot has a block. */
  least: LagPoint[];
  /** Votes as they were cast, each published as soon as it could reach the aggregator. */
  cast: LagPoint[];
  /** Votes as they were published. */
  published: LagPoint[];
}

/** One vote of a replay. `atMs`: since genesis. */
interface Publication {
  slot: number;
  validator: number;
  atMs: number;
}

export function replays(header: RunHeader, records: readonly RunRecord[]): Replays {
  const { slots, validators, slotMs } = header;
  const { safeTarget } = publishingTimes(header);
  const votes = voteTimes(header, records);
  const everySlot = Array.from({ length: slots }, (_, at) => at + 1);
  const ideal = everySlot.flatMap((slot) =>
    Array.from({ length: validators }, (_, validator) => {
      return { slot, validator, atMs: slot * slotMs + safeTarget - 1 };
    }),
  );
  const at = (pick: (vote: VoteTimes) => number | null): Publication[] =>
    votes.flatMap((vote) => {
      const { slot, validator } = vote;
      const ms = pick(vote);
      return ms === null ? [] : [{ slot, validator, atMs: slot * slotMs + ms }];
    });
  const proposed = new Set(records.flatMap((each) => (each.kind === "proposed" ? each.slot : [])));
  return {
    least: replay(header, ideal, new Set(everySlot)),
    cast: replay(
      header,
      at((vote) => sentMs(header, vote)),
      proposed,
    ),
    published: replay(
      header,
      at(({ publishedMs }) => publishedMs),
      proposed,
    ),
  };
}

/** As `castMs`; where the voter's links to the aggregator were dropped then, when they were restored. */
function sentMs(header: RunHeader, { slot, validator, castMs }: VoteTimes): number {
  const { slotMs, ownValidators, aggregators, scenario } = header;
  const voter = ownValidators.findIndex((own) => own.includes(validator));
  const castAt = slot + castMs / slotMs;
  const restored = scenario.faults.flatMap((fault) => {
    if (fault.kind !== "drop") return [];
    const { nodes, slot: from, untilSlot } = fault;
    const isCut = aggregators.some((node) => nodes.includes(node) !== nodes.includes(voter));
    const isDuring = castAt >= from + FAULT_AT && castAt < untilSlot;
    return isCut && isDuring ? [(untilSlot - slot) * slotMs] : [];
  });
  return Math.max(castMs, ...restored);
}

function replay(
  header: RunHeader,
  publications: readonly Publication[],
  proposed: ReadonlySet<number>,
): LagPoint[] {
  const { slots, slotMs, validators, lookaheadSlots } = header;
  const { safeTarget, accept } = publishingTimes(header);
  const store = new Store(validators);
  const data = new Map<number, AttestationData>();
  for (let slot = 1; slot <= lookaheadSlots; slot++) data.set(slot, store.voteData(slot));
  const waiting = [...publications].sort((a, b) => a.atMs - b.atMs);
  const publishUntil = (untilMs: number) => {
    const ready: Publication[] = [];
    while ((waiting[0]?.atMs ?? Infinity) < untilMs) ready.push(...waiting.splice(0, 1));
    addVotes(store, data, ready);
  };
  const lag: LagPoint[] = [];
  for (let slot = 1; slot <= slots; slot++) {
    const startMs = slot * slotMs;
    publishUntil(startMs);
    if (proposed.has(slot)) {
      store.acceptPending();
      store.importBlock(buildBlock(store, slot));
    }
    data.set(slot + lookaheadSlots, store.voteData(slot + lookaheadSlots));
    publishUntil(startMs + safeTarget);
    store.updateSafeTarget();
    publishUntil(startMs + accept);
    store.acceptPending();
    store.prune();
    lag.push({ slot, value: slot - store.finalized.slot });
  }
  return lag;
}

/** One aggregate for the votes of a message that are published between two duties. */
function addVotes(
  store: Store,
  data: ReadonlyMap<number, AttestationData>,
  votes: readonly Publication[],
): void {
  const byMessage = new Map<string, { data: AttestationData; voters: number[] }>();
  for (const { slot, validator } of votes) {
    const of = data.get(slot);
    if (of === undefined) continue;
    const key = hex(messageOf(of));
    const group = byMessage.get(key) ?? { data: of, voters: [] };
    byMessage.set(key, group);
    group.voters.push(validator);
  }
  for (const { data: of, voters } of byMessage.values())
    store.addAggregate({ data: of, participants: participantsOf(voters), proof: new Uint8Array() });
}
