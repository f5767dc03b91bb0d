/**
 * What the records of a run come to, or those of several runs of one mode, whose samples are taken
 * together. Pure.
 */
import type { RunHeader, RunRecord } from "../run/run-file.js";
import { isInside, windowsOf, type Window } from "../run/scenario.js";
import type { TickRecord } from "../node/records.js";
import { isPastFence, type SessionPriority } from "../node/aggregators/aggregator.js";
import { AGGREGATE } from "../node/slot-time.js";
import { summarizeBodies, type Bodies } from "./bodies.js";
import { replays } from "./counterfactual.js";
import { dutiesOfAggregator, type Duties } from "./duties.js";
import { peaksOf, type Peak } from "./peaks.js";
import { isPublishedBy, publishingTimes, slotsWithoutAggregate, voteTimes } from "./published.js";
import { mean, quantiles, sum, type Quantiles } from "./quantiles.js";
import { addSplits, splitBy, type InsideOutside } from "./splits.js";

export interface Point {
  slot: number;
  value: number;
}

/** Finality lag outside the windows, mean: measured, and in the replays of `counterfactual.ts`. */
export interface LagCauses {
  least: number;
  cast: number;
  published: number;
  measured: number;
}

export interface Summary {
  /** Of the first run. */
  header: RunHeader;
  /** Of all runs. */
  headers: RunHeader[];
  /** Slots of all runs. */
  slots: number;
  windows: Window[];
  /** Of the aggregator's thread, in milliseconds. */
  ticks: Map<TickRecord["interval"], Quantiles>;
  /** How long after their time the aggregator's ticks began, in milliseconds; those of its intervals only. */
  tickLateMs: Quantiles;
  /** Of the aggregating interval, slot by slot, in the first run. */
  aggregatingMs: Point[];
  /** Slots from the finalized checkpoint to now, at the node that is furthest, in the first run. */
  lag: Point[];
  lagInside: Quantiles;
  lagOutside: Quantiles;
  /** Of all runs. */
  peaks: Peak[];
  lagCauses: LagCauses;
  missed: InsideOutside;
  /** Taken at once, of votes and of backlog; in older recordings one a slot. */
  sessions: number;
  /** From snapshot to last outcome, of those that ended. */
  sessionMeanSeconds: number;
  skips: Map<string, InsideOutside>;
  /** Sessions that were skipped, at once or after their submission. */
  skipped: Record<SessionPriority, InsideOutside>;
  applied: number;
  /** In the run that applied the fewest. */
  appliedLeast: number;
  /** Made after their session's deadline, and used. */
  late: number;
  /** Submitted in one slot and applied in the next. */
  nextSlot: number;
  /** Applied two slots after their submission, or later: there must be none. */
  stale: number;
  votes: InsideOutside;
  /** Votes published by the safe target, by acceptance and by the fence. */
  published: { safeTarget: InsideOutside; accept: InsideOutside; fence: InsideOutside };
  /** Votes that the service accepted, by fate; a vote counts again each time that it is submitted. */
  fates: Map<string, number>;
  /** Slots with votes, of which none was published by the fence. */
  withoutAggregate: InsideOutside;
  /** Cast, and in no proof of anyone's. */
  unrepresented: InsideOutside;
  proposals: { due: number; made: number };
  proposalLateMs: Quantiles;
  ownVotes: { due: number; cast: number; inTime: number };
  prover: { busySeconds: number; proofs: number };
  bodies: Bodies | null;
  restarts: { what: string; tookMs: number }[];
  shutdowns: { what: string; tookMs: number }[];
  /** What went wrong once all slots were over, in words. */
  failures: string[];
  justifiedSlot: number;
}

export interface Run {
  header: RunHeader;
  records: RunRecord[];
}

type Of<K extends RunRecord["kind"]> = Extract<RunRecord, { kind: K }>;

/** The run that has all the faults that any has. */
export function longest(summaries: readonly Summary[]): Summary | undefined {
  return [...summaries].sort((a, b) => b.header.slots - a.header.slots)[0];
}

export function summarize(header: RunHeader, records: readonly RunRecord[]): Summary {
  return summarizeRuns([{ header, records: [...records] }]);
}

/** What one run measured, each value by itself where quantiles are to be taken. */
type Measures = ReturnType<typeof measure>;

/** Throws without a run. */
export function summarizeRuns(runs: readonly Run[]): Summary {
  const all = runs.map(measure);
  const [first] = all;
  if (first === undefined) throw new Error("there is no run to summarize");
  const total = (read: (of: Measures) => number) => sum(all.map(read));
  const both = (read: (of: Measures) => InsideOutside) => addSplits(all.map(read));
  const sessions = total(({ sessionsEnded }) => sessionsEnded.count);
  const sessionSeconds = total(({ sessionsEnded }) => sessionsEnded.seconds);
  return {
    header: first.header,
    headers: all.map(({ header }) => header),
    slots: total(({ header }) => header.slots),
    windows: first.windows,
    ticks: tickQuantiles(all.flatMap(({ ticks }) => ticks)),
    tickLateMs: quantiles(all.flatMap(({ ticks }) => ticks.flatMap(latenessOf))),
    aggregatingMs: first.aggregatingMs,
    lag: first.lag,
    ...lagIn(all),
    missed: both(({ missed }) => missed),
    sessions: total((of) => of.sessions),
    sessionMeanSeconds: sessions === 0 ? 0 : sessionSeconds / sessions,
    skips: addSkips(all.map(({ skips }) => skips)),
    skipped: {
      aggregation: both(({ skipped }) => skipped.aggregation),
      backlog: both(({ skipped }) => skipped.backlog),
    },
    applied: total(({ applied }) => applied.length),
    late: total(({ applied }) => applied.filter(({ isLate }) => isLate).length),
    nextSlot: total(({ applied }) => applied.filter((of) => of.slot > of.submittedSlot).length),
    stale: total(
      ({ applied }) =>
        applied.filter(({ slot, submittedSlot }) => isPastFence(submittedSlot, slot)).length,
    ),
    votes: both(({ votes }) => votes),
    published: {
      safeTarget: both(({ published }) => published.safeTarget),
      accept: both(({ published }) => published.accept),
      fence: both(({ published }) => published.fence),
    },
    fates: addFates(all.flatMap(({ fates }) => fates)),
    withoutAggregate: both((of) => of.withoutAggregate),
    unrepresented: both((of) => of.unrepresented),
    ...dutiesIn(all),
    prover: {
      busySeconds: total((of) => of.busySeconds),
      proofs: total((of) => of.proofs),
    },
    bodies: summarizeBodies(runs),
    restarts: all.flatMap(({ restarts }) => restarts),
    shutdowns: all.flatMap(({ shutdowns }) => shutdowns),
    failures: all.flatMap(({ failures }) => failures),
    justifiedSlot: Math.min(...all.map((of) => of.justifiedSlot)),
    appliedLeast: Math.min(...all.map(({ applied }) => applied.length)),
  };
}

function lagIn(
  all: readonly Measures[],
): Pick<Summary, "lagInside" | "lagOutside" | "peaks" | "lagCauses"> {
  const outside = all.flatMap(({ lagOutside }) => lagOutside);
  const cause = (read: (of: Measures) => number[]) => mean(all.flatMap(read));
  return {
    lagInside: quantiles(all.flatMap(({ lagInside }) => lagInside)),
    lagOutside: quantiles(outside),
    peaks: all.flatMap(({ peaks }) => peaks),
    lagCauses: {
      least: cause(({ replayed }) => replayed.least),
      cast: cause(({ replayed }) => replayed.cast),
      published: cause(({ replayed }) => replayed.published),
      measured: mean(outside),
    },
  };
}

function dutiesIn(
  all: readonly Measures[],
): Pick<Summary, "proposals" | "proposalLateMs" | "ownVotes"> {
  const total = (read: (of: Duties) => number) => sum(all.map(({ duties }) => read(duties)));
  return {
    proposals: {
      due: total(({ proposals }) => proposals.due),
      made: total(({ proposals }) => proposals.made),
    },
    proposalLateMs: quantiles(all.flatMap(({ duties }) => duties.proposalLateMs)),
    ownVotes: {
      due: total(({ votes }) => votes.due),
      cast: total(({ votes }) => votes.cast),
      inTime: total(({ votes }) => votes.inTime),
    },
  };
}

function measure({ header, records }: Run) {
  const of = <K extends RunRecord["kind"]>(kind: K) =>
    records.filter((record): record is Of<K> => record.kind === kind);
  const windows = windowsOf(header.scenario);
  const split = (slots: readonly number[]) => splitBy(windows, slots);
  const own = of("slot").filter(({ node }) => header.aggregators.includes(node));
  const lag = lagOf(of("slot"));
  const isIn = ({ slot }: Point) => isInside(windows, slot);
  const outside = (points: readonly Point[]) =>
    points.filter((point) => !isIn(point)).map(({ value }) => value);
  const applied = of("applied");
  const proposed = new Set(longestChain(of("end")).map(({ slot }) => slot));
  // The fence of the last slot's votes lies behind the end of the run.
  const isFenced = ({ slot }: { slot: number }) => slot < header.slots;
  const votes = voteTimes(header, records).filter(isFenced);
  const until = publishingTimes(header);
  const publishedBy = (ms: number) =>
    split(votes.flatMap((vote) => (isPublishedBy(vote, ms) ? [vote.slot] : [])));
  const replayed = replays(header, records);
  const busy = of("prover");
  return {
    header,
    windows,
    ticks: own.flatMap(({ ticks }) => ticks),
    aggregatingMs: aggregatingTicks(own),
    lag,
    lagInside: lag.filter(isIn).map(({ value }) => value),
    lagOutside: outside(lag),
    peaks: peaksOf(header, lag),
    replayed: {
      least: outside(replayed.least),
      cast: outside(replayed.cast),
      published: outside(replayed.published),
    },
    missed: split(slotsOf(header).filter((slot) => !proposed.has(slot))),
    sessions: sum(of("submitted").map(({ sessions = 1 }) => sessions)),
    sessionsEnded: sessionsEnded(own),
    skips: skipsOf(own, windows),
    skipped: skippedSessions(of("skipped"), windows),
    applied,
    votes: split(votes.map(({ slot }) => slot)),
    published: {
      safeTarget: publishedBy(until.safeTarget),
      accept: publishedBy(until.accept),
      fence: publishedBy(until.fence),
    },
    fates: of("fates"),
    withoutAggregate: split(slotsWithoutAggregate(votes, until.fence)),
    unrepresented: split(
      unrepresentedSlots(of("voted").filter(isFenced), [...applied, ...of("received")]),
    ),
    duties: dutiesOfAggregator(header, records),
    busySeconds: sum(busy.map(({ busySeconds }) => busySeconds)),
    proofs: sum(busy.map(({ proofs }) => proofs)),
    restarts: of("restart"),
    shutdowns: of("shutdown"),
    failures: of("failure").map(({ text }) => text),
    justifiedSlot: Math.max(0, ...of("slot").map(({ justifiedSlot }) => justifiedSlot)),
  };
}

function addFates(records: readonly Of<"fates">[]): Map<string, number> {
  const fates = new Map<string, number>();
  for (const { votes } of records) {
    for (const [fate, count] of Object.entries(votes))
      if (count > 0) fates.set(fate, (fates.get(fate) ?? 0) + count);
  }
  return fates;
}

function addSkips(all: readonly Summary["skips"][]): Summary["skips"] {
  const reasons = new Set(all.flatMap((skips) => [...skips.keys()]));
  const none = { inside: 0, outside: 0 };
  return new Map(
    [...reasons].map((reason) => [reason, addSplits(all.map((of) => of.get(reason) ?? none))]),
  );
}

/** Slot 0 is genesis'. */
function slotsOf({ slots }: RunHeader): number[] {
  return Array.from({ length: slots }, (_, index) => index + 1);
}

/** Empty for what had no time of its own; of that, results have 0 in older recordings. */
function latenessOf({ interval, lateMs }: TickRecord): number[] {
  return interval === "results" || lateMs === null ? [] : [lateMs];
}

function tickQuantiles(ticks: readonly TickRecord[]): Summary["ticks"] {
  const byInterval = new Map<TickRecord["interval"], number[]>();
  for (const { interval, durationMs, isExtra } of ticks)
    if (isExtra !== true)
      byInterval.set(interval, [...(byInterval.get(interval) ?? []), durationMs]);
  const order = ([a]: [TickRecord["interval"], unknown]) => (a === "results" ? 99 : a);
  return new Map(
    [...byInterval]
      .sort((a, b) => order(a) - order(b))
      .map(([interval, values]) => [interval, quantiles(values)]),
  );
}

function aggregatingTicks(own: readonly Of<"slot">[]): Point[] {
  return own.flatMap(({ slot, ticks }) =>
    ticks
      .filter(({ interval, isExtra }) => interval === AGGREGATE && isExtra !== true)
      .map(({ durationMs: value }) => ({ slot, value })),
  );
}

function lagOf(slots: readonly Of<"slot">[]): Point[] {
  const best = new Map<number, number>();
  for (const { slot, finalizedSlot } of slots)
    best.set(slot, Math.max(best.get(slot) ?? 0, finalizedSlot));
  return [...best]
    .sort(([a], [b]) => a - b)
    .map(([slot, finalized]) => ({ slot, value: slot - finalized }));
}

function longestChain(ends: readonly Of<"end">[]): Of<"end">["chain"] {
  const [longest] = [...ends].sort((a, b) => b.chain.length - a.chain.length);
  return longest?.chain ?? [];
}

/** What a counter has grown by in each slot; a restarted node begins anew. */
function growth(
  own: readonly Of<"slot">[],
  read: (record: Of<"slot">) => number,
): { slot: number; added: number }[] {
  let before = 0;
  return [...own]
    .sort((a, b) => a.slot - b.slot)
    .map((record) => {
      const value = read(record);
      const added = value < before ? value : value - before;
      before = value;
      return { slot: record.slot, added };
    });
}

function sessionsEnded(own: readonly Of<"slot">[]): { count: number; seconds: number } {
  const total = (read: (record: Of<"slot">) => number) =>
    sum(growth(own, read).map(({ added }) => added));
  return {
    count: total(({ sessions }) => sessions.count),
    seconds: total(({ sessions }) => sessions.seconds),
  };
}

function skipsOf(own: readonly Of<"slot">[], windows: readonly Window[]): Summary["skips"] {
  const skips = new Map<string, InsideOutside>();
  for (const reason of new Set(own.flatMap((record) => Object.keys(record.skips)))) {
    for (const { slot, added } of growth(own, (record) => record.skips[reason] ?? 0)) {
      if (added === 0) continue;
      const { inside, outside } = skips.get(reason) ?? { inside: 0, outside: 0 };
      const isIn = isInside(windows, slot);
      skips.set(reason, {
        inside: inside + (isIn ? added : 0),
        outside: outside + (isIn ? 0 : added),
      });
    }
  }
  return skips;
}

function skippedSessions(
  sessions: readonly Of<"skipped">[],
  windows: readonly Window[],
): Summary["skipped"] {
  const by = (wanted: SessionPriority) =>
    splitBy(
      windows,
      sessions.filter(({ priority }) => priority === wanted).map(({ slot }) => slot),
    );
  return { aggregation: by("aggregation"), backlog: by("backlog") };
}

function unrepresentedSlots(
  votes: readonly Of<"voted">[],
  proofs: readonly { message: string; validators: number[] }[],
): number[] {
  const represented = new Map<string, Set<number>>();
  for (const { message, validators } of proofs) {
    const voters = represented.get(message) ?? new Set<number>();
    represented.set(message, voters);
    for (const validator of validators) voters.add(validator);
  }
  return votes
    .filter(({ message, validator }) => represented.get(message)?.has(validator) !== true)
    .map(({ slot }) => slot);
}
