/** What one run's records come to. Pure. */
import type { RunHeader, RunRecord } from "../run/run-file.js";
import { isInside, windowsOf, type Window } from "../run/scenario.js";
import type { TickRecord } from "../node/records.js";
import { isPastFence } from "../node/aggregators/aggregator.js";
import { AGGREGATE } from "../node/slot-time.js";

export interface Quantiles {
  count: number;
  mean: number;
  p50: number;
  p99: number;
  max: number;
}
/** A count, by whether its slot belongs to a fault. */
export interface InsideOutside {
  inside: number;
  outside: number;
}
export interface Point {
  slot: number;
  value: number;
}

export interface Summary {
  header: RunHeader;
  windows: Window[];
  /** Of the aggregator's thread, in milliseconds. */
  ticks: Map<TickRecord["interval"], Quantiles>;
  /** Of the aggregating interval, slot by slot. */
  aggregatingMs: Point[];
  /** Slots from the finalized checkpoint to now, at the node that is furthest. */
  lag: Point[];
  lagInside: Quantiles;
  lagOutside: Quantiles;
  missed: InsideOutside;
  sessions: number;
  /** From snapshot to last outcome, of those that ended. */
  sessionMeanSeconds: number;
  skips: Map<string, InsideOutside>;
  applied: number;
  /** Made after their session's deadline, and used. */
  late: number;
  /** Submitted in one slot and applied in the next. */
  nextSlot: number;
  /** Applied two slots after their submission, or later: there must be none. */
  stale: number;
  votes: number;
  /** Cast, and in no proof of anyone's. */
  unrepresented: InsideOutside;
  prover: { busySeconds: number; proofs: number };
  restarts: { what: string; tookMs: number }[];
  shutdowns: { what: string; tookMs: number }[];
  justifiedSlot: number;
}

type Of<K extends RunRecord["kind"]> = Extract<RunRecord, { kind: K }>;

/** The run that has all the faults that any has. */
export function longest(summaries: readonly Summary[]): Summary | undefined {
  return [...summaries].sort((a, b) => b.header.slots - a.header.slots)[0];
}

export function summarize(header: RunHeader, records: readonly RunRecord[]): Summary {
  const of = <K extends RunRecord["kind"]>(kind: K) =>
    records.filter((record): record is Of<K> => record.kind === kind);
  const windows = windowsOf(header.scenario);
  const split = (slots: readonly number[]) => splitBy(windows, slots);
  const own = of("slot").filter(({ node }) => header.aggregators.includes(node));
  const lag = lagOf(of("slot"));
  const applied = of("applied");
  const chain = longestChain(of("end"));
  const proposed = new Set(chain.map(({ slot }) => slot));
  const busy = of("prover");
  const isIn = ({ slot }: Point) => isInside(windows, slot);
  return {
    header,
    windows,
    ticks: tickQuantiles(own.flatMap(({ ticks }) => ticks)),
    aggregatingMs: aggregatingTicks(own),
    lag,
    lagInside: quantiles(lag.filter(isIn).map(({ value }) => value)),
    lagOutside: quantiles(lag.filter((point) => !isIn(point)).map(({ value }) => value)),
    missed: split(slotsOf(header).filter((slot) => !proposed.has(slot))),
    sessions: of("submitted").length,
    sessionMeanSeconds: meanSession(own),
    skips: skipsOf(own, windows),
    applied: applied.length,
    late: applied.filter(({ isLate }) => isLate).length,
    nextSlot: applied.filter(({ slot, submittedSlot }) => slot > submittedSlot).length,
    stale: applied.filter(({ slot, submittedSlot }) => isPastFence(submittedSlot, slot)).length,
    votes: of("voted").length,
    unrepresented: split(unrepresentedSlots(of("voted"), [...applied, ...of("received")])),
    prover: {
      busySeconds: sum(busy.map(({ busySeconds }) => busySeconds)),
      proofs: sum(busy.map(({ proofs }) => proofs)),
    },
    restarts: of("restart"),
    shutdowns: of("shutdown"),
    justifiedSlot: Math.max(0, ...of("slot").map(({ justifiedSlot }) => justifiedSlot)),
  };
}

/** By nearest rank; zeros of nothing. */
export function quantiles(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  const mean = sorted.length === 0 ? 0 : sum(sorted) / sorted.length;
  return { count: sorted.length, mean, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

function splitBy(windows: readonly Window[], slots: readonly number[]): InsideOutside {
  const inside = slots.filter((slot) => isInside(windows, slot)).length;
  return { inside, outside: slots.length - inside };
}

/** Slot 0 is genesis'. */
function slotsOf({ slots }: RunHeader): number[] {
  return Array.from({ length: slots }, (_, index) => index + 1);
}

function tickQuantiles(ticks: readonly TickRecord[]): Summary["ticks"] {
  const byInterval = new Map<TickRecord["interval"], number[]>();
  for (const { interval, durationMs } of ticks)
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
      .filter(({ interval }) => interval === AGGREGATE)
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

function meanSession(own: readonly Of<"slot">[]): number {
  const total = (read: (record: Of<"slot">) => number) =>
    sum(growth(own, read).map(({ added }) => added));
  const count = total(({ sessions }) => sessions.count);
  return count === 0 ? 0 : total(({ sessions }) => sessions.seconds) / count;
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
