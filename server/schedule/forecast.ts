/** Predicts when a group could start, given what the lanes do and which groups come before. */
import type { Adoptable } from "../lane/lane-messages.js";
import { lowDiscrepancy } from "../low-discrepancy.js";
import { LOGISTIC, OPTIMISTIC_AT } from "../work/cost-model.js";

/**
 * One scenario: maps the index of a proof (running by lane, then queued in order) to its deviation
 * from the median, in standard deviations.
 */
export type Future = (nth: number) => number;

/** For each scenario in which all proofs deviate alike: the deviation, from short to long. */
const ALIKE = [OPTIMISTIC_AT, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2];
/** Number of scenarios in which each proof deviates on its own. */
const MIXED = 8;

/**
 * The scenarios that admission looks at. Short proofs alone are not always best for a new group.
 * With longer ones, a group before it may be too late to start, which leaves a lane free. And with
 * unequal ones, one lane may be free early while the others are not.
 */
export const futures: readonly Future[] = [
  ...ALIKE.map(alike),
  ...Array.from({ length: MIXED }, (_, which) => mixed(which)),
];

function alike(deviations: number): Future {
  return () => deviations;
}

/** Mixed scenario number `which`. Over all of them, each proof has each eighth's median once. */
function mixed(which: number): Future {
  return (nth) => likely(Math.floor(((lowDiscrepancy(nth) + which / MIXED) % 1) * MIXED));
}

/** Median of an eighth (0 to 7) of the standard normal distribution, by its logistic equivalent. */
function likely(eighth: number): number {
  const share = (eighth + 0.5) / MIXED;
  return Math.log(share / (1 - share)) / LOGISTIC;
}

/** What the dispatcher predicts of one lane in one scenario (see `Future`). */
export interface LaneForecast {
  /**
   * When the lane is predicted to take work again in this scenario: now if it is idle, in the past
   * if its proof is overdue, Infinity if it is down.
   */
  freeAtMs: number;
  /** Number of this door's attempt in progress; undefined for a lane without one. */
  attempt: number | undefined;
  /** Whether the lane proves another door's attempt. */
  isTaken: boolean;
  /** What the lane proves or holds for any door; some may be this door's own. */
  adoptable: readonly Adoptable[];
  /** Whether a ready standby takes over at once when the prover is killed. */
  hasStandby: boolean;
}

/** A waiting group that comes before the group of which the start is predicted. */
export interface Ahead {
  /** Duration of the group's proof in this scenario, in ms. */
  costMs: number;
  /** The group starts only before this instant. */
  latestStartAtMs: number;
}

/**
 * Returns the instant at which a lane is free for a group that comes after all of `ahead`; Infinity
 * without lanes. Once every lane is busy until `enoughAtMs`, returns without looking further.
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
