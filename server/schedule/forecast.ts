/** When a group that comes now could start, given what the lanes do and who waits before it. */
import { lowDiscrepancy } from "../low-discrepancy.js";
import { LOGISTIC, OPTIMISTIC_AT } from "../work/cost-model.js";

/**
 * How long proofs take in one of the ways it may go: so many standard deviations more than the
 * middle for the nth of them, those that run first, by lane, then those that wait, in their order.
 */
export type Future = (nth: number) => number;

/** From swift to slow. */
const ALIKE = [OPTIMISTIC_AT, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2];
const MIXED = 8;

/**
 * The futures that accept looks at. Swift proofs are not always the best for who stands last: those
 * before it may start just in time, which a little later would have been too late; and one lane may
 * come free early beside others that do not.
 */
export const futures: readonly Future[] = [
  ...ALIKE.map(alike),
  ...Array.from({ length: MIXED }, (_, which) => mixed(which)),
];

function alike(deviations: number): Future {
  return () => deviations;
}

/** Over all of these a proof has each of as many equally likely durations once. */
function mixed(which: number): Future {
  return (nth) => likely(Math.floor(((lowDiscrepancy(nth) + which / MIXED) % 1) * MIXED));
}

/** The middle of one eighth, counted from 0, of a normal variable's values; by a logistic. */
function likely(eighth: number): number {
  const share = (eighth + 0.5) / MIXED;
  return Math.log(share / (1 - share)) / LOGISTIC;
}

/** What the scheduler knows of one lane. */
export interface LaneForecast {
  /** Earliest instant at which it takes work, seen optimistically; may have passed. */
  freeAtMs: number;
  /** The attempt that it works on; undefined when none, or one that is over. */
  attempt: number | undefined;
  /** A set-up standby takes over within a moment once its prover is killed. */
  hasStandby: boolean;
}

/** A group in the queue before the one in question. */
export interface Ahead {
  /** What it costs a lane, seen optimistically. */
  costMs: number;
  /** Past this it does not start. */
  latestStartAtMs: number;
}

/**
 * The instant at which a lane comes free for a group behind all of `ahead`, first to last; looks no
 * further once that is `enoughAtMs` or later.
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
