/**
 * The rhythm in which a lane gets work, as the lengths of the gaps between. Pure. Nodes submit once a
 * slot, in bursts, so gaps within a burst are short and those between bursts alike. It predicts for
 * how long an idle lane stays so, by which the lane decides whether it may refresh its costs.
 */

/** Gaps remembered: a few dozen slots. */
const GAPS_MAX = 64;
/** Fewest gaps that lasted longer than the present one, from which it is predicted. */
const LASTING_MIN = 3;
/**
 * Where hardly any gap lasted longer, a lane counts as without work only after so long: five of the
 * longest slots, so that no node has merely missed one.
 */
const SILENCE_MS = 60_000;
/** Of those gaps, the newest that are looked at. */
const LASTING_MAX = 16;

export interface Rhythm {
  /** Lengths of the last gaps in milliseconds, the newest first. */
  readonly gapsMs: readonly number[];
  /** When the present gap began; Infinity while the lane works. */
  readonly sinceMs: number;
}

export const noRhythm: Rhythm = { gapsMs: [], sinceMs: Infinity };

/** The rhythm once the lane has work, or cannot take any. */
export function gapEnded(rhythm: Rhythm, nowMs: number, hasWork: boolean): Rhythm {
  if (rhythm.sinceMs === Infinity) return rhythm;
  const gapMs = nowMs - rhythm.sinceMs;
  const gapsMs = hasWork ? [gapMs, ...rhythm.gapsMs].slice(0, GAPS_MAX) : rhythm.gapsMs;
  return { gapsMs, sinceMs: Infinity };
}

/** The rhythm once the lane waits for work. */
export function gapBegan(rhythm: Rhythm, nowMs: number): Rhythm {
  return rhythm.sinceMs === Infinity ? { ...rhythm, sinceMs: nowMs } : rhythm;
}

/**
 * For how many milliseconds no work is to be expected: up to the shortest of the gaps that lasted
 * longer than the present one so far. Where hardly any did, for as long again as it lasts already,
 * once that is a minute.
 */
export function quietMs({ gapsMs, sinceMs }: Rhythm, nowMs: number): number {
  if (sinceMs === Infinity) return 0;
  const lastsMs = Math.max(0, nowMs - sinceMs);
  const lasting = gapsMs.filter((gapMs) => gapMs > lastsMs).slice(0, LASTING_MAX);
  if (lasting.length >= LASTING_MIN) return Math.min(...lasting) - lastsMs;
  return lastsMs < SILENCE_MS ? 0 : lastsMs;
}
