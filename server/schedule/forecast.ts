/** When a group that comes now could start, given what the lanes do and who waits before it. */

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
