/** Time and timers. Passed in everywhere, so that tests and the simulation can control them. */
export interface Clock {
  /** Milliseconds on the monotonic clock, from an arbitrary start. */
  nowMs(): number;
  /** Unix time in milliseconds: for people, and for instants set by others, such as expiries. */
  unixMs(): number;
  /**
   * Calls `callback` once `nowMs` has reached `instantMs`; the real clock may be 1 ms early. The
   * returned function cancels that.
   */
  at(instantMs: number, callback: () => void): () => void;
}

/** The real clock. Its timers do not keep the process alive. Beyond 24.8 days they fire at once. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  unixMs: () => Date.now(),
  at(instantMs, callback) {
    const timer = setTimeout(callback, Math.max(0, Math.ceil(instantMs - performance.now())));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
