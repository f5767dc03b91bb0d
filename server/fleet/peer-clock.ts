/**
 * Another process's clock, as far as its beats tell: translates instants of this process's clock into
 * the other's, never late and early by little. Pure. No clock is synchronised.
 */

/** What is known of the clock; a new value for each beat. */
export interface PeerClock {
  readonly run: string;
  readonly beats: readonly { readonly offsetMs: number; readonly atMs: number }[];
}

/** The clock of a peer that was not heard. */
export const unheardClock: PeerClock = { run: "", beats: [] };

/**
 * The clock after a beat. A beat of another run, or one that shows that the clock was set, starts
 * anew.
 *
 * @param beat the peer's run, and its monotonic clock when it sent the beat
 * @param receivedAtMs by this process's monotonic clock
 */
export const heardBeat: (
  clock: PeerClock,
  beat: { readonly run: string; readonly nowMs: number },
  receivedAtMs: number,
) => PeerClock = () => {
  throw new Error("is not there yet");
};

/**
 * The instant by the peer's clock. Never late; early by at most the fastest beat's way and 200 ppm of
 * its age. Undefined until three beats were heard in the last 30 s.
 */
export const toPeer: (
  clock: PeerClock,
  instantMs: number,
  nowMs: number,
) => number | undefined = () => {
  throw new Error("is not there yet");
};
