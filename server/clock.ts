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

/** Resolves when the promise settles, or after the time. */
export function settledWithin(clock: Clock, ms: number, promise: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.at(clock.nowMs() + ms, resolve);
    const settled = () => {
      cancel();
      resolve();
    };
    promise.then(settled, settled);
  });
}

/** Most milliseconds of a timer of Node, 24.8 days: it fires a longer one at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** The real clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  unixMs: () => Date.now(),
  at(instantMs, callback) {
    let timer: NodeJS.Timeout;
    const set = () => {
      const ms = Math.max(0, Math.ceil(instantMs - performance.now()));
      timer = ms > TIMER_MS_MAX ? setTimeout(set, TIMER_MS_MAX) : setTimeout(callback, ms);
      timer.unref();
    };
    set();
    return () => clearTimeout(timer);
  },
};
