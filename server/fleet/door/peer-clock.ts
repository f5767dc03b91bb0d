/**
 * Another process's clock, as far as its beats tell: translates instants of this process's clock into
 * the other's, never late and early by little. Pure. No clock is synchronised.
 *
 * The offset is this process's clock less the peer's. A beat shows it too large by the beat's way, so
 * the smallest offset is the best one, and what is translated with it is early. Two clocks drift apart
 * by at most 200 ppm, which are added for the time between the beat and the instant. A clock that was
 * set, or stood still with its machine, shows in its beats: from then on only new ones count.
 */

/** How far two clocks may drift apart, as a share of the time. */
const DRIFT = 200e-6;
/** Beats count for so long. */
const WINDOW_MS = 30_000;
/** Beats that have to be heard before anything is translated. */
const BEATS_MIN = 3;
/** Beats kept. Without drift beyond 200 ppm there are a few. */
const BEATS_MAX = 65;
/** A beat whose offset is larger than expected by more is odd: delayed, or the clock has changed. */
const ODD_MS = 20;
/** So many odd beats in a row show that the clock has changed. */
const ODD_BEATS_MIN = 5;
/** An odd beat shows it at once if it is newer than all before, and its offset larger by more. */
const STEP_MS = 1000;

interface Beat {
  /** Receipt, less the peer's clock when it sent the beat. */
  readonly offsetMs: number;
  /** Receipt, by this process's clock. */
  readonly atMs: number;
}

/** What is known of the clock; a new value for each beat. */
export interface PeerClock {
  readonly run: string;
  /** Beats heard since the clock was last taken as new. */
  readonly count: number;
  /** The newest instant that the peer has told. */
  readonly peerNowMs: number;
  readonly heardAtMs: number;
  /** The beats that may give the offset: a later one never gives it better than an earlier one. */
  readonly beats: readonly Beat[];
  /** The last beats in a row that were odd. */
  readonly odd: readonly Beat[];
}

/** The clock of a peer that was not heard. */
export const unheardClock: PeerClock = {
  run: "",
  count: 0,
  peerNowMs: -Infinity,
  heardAtMs: -Infinity,
  beats: [],
  odd: [],
};

/**
 * The clock after a beat. Beats may come late, doubled or overtaken.
 *
 * @param beat the peer's run, and its monotonic clock when it sent the beat, in milliseconds.
 *   `hasWaited`: it may have waited here while this process stood still, so it shows no change of
 *   the clock; default false.
 * @param receivedAtMs by this process's monotonic clock
 */
export function heardBeat(
  clock: PeerClock,
  beat: { readonly run: string; readonly nowMs: number; readonly hasWaited?: boolean },
  receivedAtMs: number,
): PeerClock {
  const { run, nowMs, hasWaited = false } = beat;
  const heard: Beat = { offsetMs: receivedAtMs - nowMs, atMs: receivedAtMs };
  const isOther = run !== clock.run || receivedAtMs - clock.heardAtMs > WINDOW_MS;
  const expectedMs = isOther ? undefined : offsetAt(clock, receivedAtMs, receivedAtMs);
  const times = { run, peerNowMs: Math.max(nowMs, clock.peerNowMs), heardAtMs: receivedAtMs };
  if (expectedMs === undefined) {
    return hasWaited ? clock : renewed({ ...times, peerNowMs: nowMs }, [heard]);
  }
  const tooLargeMs = heard.offsetMs - expectedMs;
  if (tooLargeMs <= ODD_MS) {
    const beats = withBeat(clock.beats, heard);
    return { ...times, count: clock.count + 1, beats, odd: [] };
  }
  if (hasWaited) return { ...clock, ...times };
  if (tooLargeMs > STEP_MS && nowMs > clock.peerNowMs) return renewed(times, [heard]);
  const odd = [...clock.odd, heard];
  if (odd.length >= ODD_BEATS_MIN) {
    // Not the newest of all: the clock may have been set back. Copies of old beats come late too.
    const newestMs = Math.max(...odd.map(({ atMs, offsetMs }) => atMs - offsetMs));
    return renewed({ ...times, peerNowMs: newestMs }, odd);
  }
  return { ...clock, ...times, count: clock.count + 1, odd };
}

/**
 * The instant by the peer's clock, in milliseconds. It is never late; it is early by at most the way
 * of the fastest of the last five beats, of those of the last 30 s and since the clock was taken as new,
 * and 400 ppm of the time from that beat to now and from there to the instant.
 * Undefined until three beats were heard, and when none was heard for 30 s.
 */
export function toPeer(clock: PeerClock, instantMs: number, nowMs: number): number | undefined {
  if (clock.count < BEATS_MIN) return undefined;
  const offsetMs = offsetAt(clock, instantMs, nowMs);
  return offsetMs === undefined ? undefined : instantMs - offsetMs;
}

/** The largest offset that there can be at the instant; undefined when no beat is new enough. */
function offsetAt({ beats }: PeerClock, instantMs: number, nowMs: number): number | undefined {
  const offsets = beats
    .filter(({ atMs }) => nowMs - atMs <= WINDOW_MS)
    .map(({ offsetMs, atMs }) => offsetMs + DRIFT * Math.abs(instantMs - atMs));
  return offsets.length === 0 ? undefined : Math.min(...offsets);
}

type Times = Pick<PeerClock, "run" | "peerNowMs" | "heardAtMs">;

/** The clock of which only these beats count. */
function renewed(times: Times, heard: readonly Beat[]): PeerClock {
  return { ...times, count: heard.length, beats: heard.reduce(withBeat, []), odd: [] };
}

/** Adds the beat, and drops those that it outdoes and those that are too old. */
function withBeat(beats: readonly Beat[], heard: Beat): readonly Beat[] {
  const isBetter = ({ offsetMs, atMs }: Beat) =>
    heard.atMs - atMs <= WINDOW_MS && offsetMs + DRIFT * (heard.atMs - atMs) < heard.offsetMs;
  const kept = [...beats.filter(isBetter), heard];
  // Each of them is a bound by itself, so any may go.
  return kept.length <= BEATS_MAX ? kept : kept.filter((_, at) => at % 2 === 0);
}
