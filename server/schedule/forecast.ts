/** When a group that arrives now could start, given what the lanes do and what waits before it. */
import { lowDiscrepancy } from "../low-discrepancy.js";
import { LOGISTIC, OPTIMISTIC_AT } from "../work/cost-model.js";

/**
 * One scenario: maps the index of a proof (running by lane, then queued in order) to its deviation
 * from the median, in standard deviations.
 */
export type Future = (nth: number) => number;

/** Scenarios in which every proof deviates alike, from short to long. */
const ALIKE = [OPTIMISTIC_AT, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2];
/** Number of scenarios in which each proof deviates on its own. */
const MIXED = 8;

/**
 * The scenarios that admission looks at. Short proofs are not always best for the last group: those
 * before it may start just in time, where a little later would have been too late. And one lane may
 * be free early while others are not.
 */
export const futures: readonly Future[] = [
  ...ALIKE.map(alike),
  ...Array.from({ length: MIXED }, (_, which) => mixed(which)),
];

function alike(deviations: number): Future {
  return () => deviations;
}

/** Over all mixed scenarios a proof has each of `MIXED` equally likely durations once. */
function mixed(which: number): Future {
  return (nth) => likely(Math.floor(((lowDiscrepancy(nth) + which / MIXED) % 1) * MIXED));
}

/** Median of the nth eighth, counted from 0, of a normal distribution, as a logistic one has it. */
function likely(eighth: number): number {
  const share = (eighth + 0.5) / MIXED;
  return Math.log(share / (1 - share)) / LOGISTIC;
}

/** One lane as the dispatcher sees it. */
export interface LaneForecast {
  /** When the lane takes work again in this scenario; may have passed. */
  freeAtMs: number;
  /** The attempt in progress; undefined for a lane without one. */
  attempt: number | undefined;
  /** Whether a ready standby takes over at once when the prover is killed. */
  hasStandby: boolean;
}

/** A waiting group before the one in question. */
export interface Ahead {
  /** Duration of its proof in this scenario. */
  costMs: number;
  /** At this instant or later it does not start. */
  latestStartAtMs: number;
}

/**
 * The instant at which a lane is free for a group behind all of `ahead`. Stops counting, and returns
 * what it has, once that is `enoughAtMs` or later.
 */
export function startAfter(
  nowMs: number,
  lanes: readonly Pick<LaneForecast, "freeAtMs">[],
  ahead: Iterable<Ahead>,
  enoughAtMs = Infinity,
): number {
  const free = lanes.map(({ freeAtMs }) => Math.max(nowMs, freeAtMs));
  const earliest = () => free.reduce((best, at, lane) => (at < (free[best] ?? 0) ? lane : best), 0);
  for (const { costMs, latestStartAtMs } of ahead) {
    const lane = earliest();
    const startAtMs = free[lane] ?? Infinity;
    if (startAtMs >= enoughAtMs) return startAtMs;
    if (startAtMs < latestStartAtMs) free[lane] = startAtMs + costMs;
  }
  return free[earliest()] ?? Infinity;
}
