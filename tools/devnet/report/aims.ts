/** What the devnet is to show, each aim judged on the runs there are. Pure. */
import { nextJustifiableDelta } from "../chain/justification.js";
import { isServed } from "../node/aggregators/aggregator.js";
import { AGGREGATE } from "../node/slot-time.js";
import type { Quantiles } from "./quantiles.js";
import type { Summary } from "./summary.js";

export interface Aim {
  text: string;
  isMet: boolean;
  /** What was found. */
  found: string;
  /** A broken rule, which fails the command; else it is only said. */
  isRule: boolean;
}

const TICK_MS_MAX = 100;
/** A chain that starts needs several slots of votes before the first that count. */
const JUSTIFIES_AFTER_SLOTS = 10;
const SHUTDOWN_MS_MAX = 2000;
const LOST_SHARE_MAX = 0.01;
const FULL_SHARE_MIN = 0.95;
/** With fewer, the 99th percentile is the longest, and one stall of the machine breaks it. */
const TICKS_FOR_P99 = 100;

/** @param summaries one for each mode, of one scenario and number of intervals */
export function judge(summaries: readonly Summary[]): Aim[] {
  const served = summaries.filter(({ header }) => isServed(header.mode));
  const inProcess = summaries.filter(({ header }) => !isServed(header.mode));
  return [
    ...summaries.flatMap(rules),
    ...served.flatMap(servedAims),
    ...served.flatMap(bodyAims),
    ...served.flatMap((run) =>
      inProcess.flatMap((other) =>
        other.slots === run.slots ? lagAims(run, other) : [notComparable(run, other)],
      ),
    ),
  ];
}

function rules({
  header: { mode, slots },
  appliedLeast,
  stale,
  shutdowns,
  failures,
  justifiedSlot,
}: Summary): Aim[] {
  const slowest = Math.max(0, ...shutdowns.map(({ tookMs }) => tookMs));
  return [
    {
      text: `${mode}: no result applied two slots late or later`,
      isMet: stale === 0,
      found: `${stale}`,
      isRule: true,
    },
    {
      text: `${mode}: proofs are applied`,
      isMet: appliedLeast > 0,
      found: `${appliedLeast}`,
      isRule: true,
    },
    {
      text: `${mode}: the chain justifies`,
      isMet: justifiedSlot > 0,
      found: `slot ${justifiedSlot}`,
      isRule: slots >= JUSTIFIES_AFTER_SLOTS,
    },
    {
      text: `${mode}: every process ends well`,
      isMet: failures.length === 0,
      found: failures.join("; ") || "all",
      isRule: true,
    },
    {
      text: `${mode}: every process ends within 2 s`,
      isMet: slowest <= SHUTDOWN_MS_MAX && shutdowns.length > 0,
      found: `${slowest.toFixed(0)} ms`,
      isRule: false,
    },
  ];
}

function servedAims(run: Summary): Aim[] {
  const { header, ticks, missed, skips, votes, unrepresented, proposals } = run;
  const { mode, slots } = header;
  const lostShare = votes.outside === 0 ? 1 : unrepresented.outside / votes.outside;
  const { p50 = Infinity, p99 = Infinity } = ticks.get(AGGREGATE) ?? {};
  const inFlight = skips.get("in_flight") ?? { inside: 0, outside: 0 };
  return [
    {
      text: `${mode}: median of the aggregating interval under 100 ms`,
      isMet: p50 < TICK_MS_MAX,
      found: `${p50.toFixed(1)} ms`,
      isRule: true,
    },
    {
      text: `${mode}: p99 of the aggregating interval under 100 ms`,
      isMet: p99 < TICK_MS_MAX,
      found: `${p99.toFixed(1)} ms`,
      isRule: slots >= TICKS_FOR_P99,
    },
    {
      text: `${mode}: missed slots only inside fault windows`,
      isMet: missed.outside === 0,
      found: `${missed.outside} outside, ${missed.inside} inside`,
      isRule: false,
    },
    {
      text: `${mode}: under 1 % of votes in no proof outside fault windows`,
      isMet: lostShare < LOST_SHARE_MAX,
      found: `${(lostShare * 100).toFixed(1)} %, ${unrepresented.outside} of ${votes.outside}`,
      isRule: false,
    },
    ...(header.scenario.aggregatorValidators === undefined
      ? []
      : [
          {
            text: `${mode}: the aggregator makes every proposal that it owes`,
            isMet: proposals.made === proposals.due,
            found: `${proposals.made} of ${proposals.due}`,
            isRule: false,
          },
        ]),
    ...(header.scenario.faults.length === 0
      ? []
      : [
          {
            text: `${mode}: in_flight skips mostly inside fault windows`,
            isMet: inFlight.outside <= inFlight.inside,
            found: `${inFlight.outside} outside, ${inFlight.inside} inside`,
            isRule: false,
          },
        ]),
  ];
}

function bodyAims({ header: { mode }, bodies }: Summary): Aim[] {
  if (bodies === null) return [];
  const { proposals, tickMs } = bodies;
  return [
    {
      text: `${mode}: 95 % of blocks have a full body proof at their slot's start, without faults`,
      isMet: proposals.due > 0 && proposals.full / proposals.due >= FULL_SHARE_MIN,
      found: `${proposals.full} of ${proposals.due}`,
      isRule: false,
    },
    {
      text: `${mode}: p99 of the proposer's ticks under 100 ms`,
      isMet: tickMs.p99 < TICK_MS_MAX,
      found: `${tickMs.p99.toFixed(1)} ms`,
      isRule: false,
    },
  ];
}

/**
 * No worse outside means within one step of 3SF-mini's schedule: where finality lags by 12 slots
 * only every fourth slot may be justified, and on which of them it recovers is the chance of what
 * was finalized when the fault began. Lower inside has no such slack.
 */
function lagAims(run: Summary, other: Summary): Aim[] {
  const name = other.header.mode;
  const text = `${run.header.mode}: finality lag`;
  const found = (own: Quantiles, its: Quantiles) =>
    `mean ${own.mean.toFixed(1)} against ${its.mean.toFixed(1)}, p50 ${own.p50} against ${its.p50}, p99 ${own.p99} against ${its.p99} slots`;
  const isNoWorse = (own: Quantiles, its: Quantiles) =>
    own.p50 <= nextJustifiableDelta(its.p50) && own.p99 <= nextJustifiableDelta(its.p99);
  return [
    {
      text: `${text} outside fault windows no worse than ${name}, give or take one justifiable slot`,
      isMet: isNoWorse(run.lagOutside, other.lagOutside),
      found: found(run.lagOutside, other.lagOutside),
      isRule: false,
    },
    {
      text: `${text} outside fault windows, p99 no worse than ${name}`,
      isMet: run.lagOutside.p99 <= other.lagOutside.p99,
      found: `${run.lagOutside.p99} against ${other.lagOutside.p99} slots`,
      isRule: false,
    },
    ...(run.header.scenario.faults.length === 0
      ? []
      : [
          {
            text: `${text} inside fault windows, recovery included, lower than ${name} in the mean`,
            isMet: run.lagInside.mean < other.lagInside.mean,
            found: found(run.lagInside, other.lagInside),
            isRule: false,
          },
        ]),
  ];
}

/** Over other slots a chain has other faults, and more or less time to recover. */
function notComparable(run: Summary, other: Summary): Aim {
  return {
    text: `${run.header.mode}: finality lag against ${other.header.mode}`,
    isMet: false,
    found: `not comparable: ${run.slots} slots against ${other.slots}`,
    isRule: false,
  };
}
