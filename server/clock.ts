/** Monotonic time in milliseconds and timers, injected so that tests and simulation own them. */
export interface Clock {
  /** Monotonic; unrelated to wall time. */
  nowMs(): number;
  /** Unix time in milliseconds: for people, and for instants that others set, such as expiries. */
  unixMs(): number;
  /** Calls back at `instantMs` of `nowMs` or soon after; the returned function cancels it. */
  at(instantMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  unixMs: () => Date.now(),
  at(instantMs, callback) {
    const timer = setTimeout(callback, Math.max(0, Math.ceil(instantMs - performance.now())));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
