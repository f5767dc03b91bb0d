/** Virtual time: a queue of timers that the simulation runs through, one at a time, in order. */
import type { Clock } from "../../server/clock.js";

interface Timer {
  atMs: number;
  order: number;
  callback: () => void;
}

export class VirtualClock implements Clock {
  private nowAtMs = 0;
  private order = 0;
  private timers = new Set<Timer>();

  nowMs(): number {
    return this.nowAtMs;
  }

  unixMs(): number {
    return 1_700_000_000_000 + this.nowAtMs;
  }

  at(instantMs: number, callback: () => void): () => void {
    const timer = { atMs: Math.max(instantMs, this.nowAtMs), order: this.order++, callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.at(this.nowAtMs + ms, resolve));
  }

  /** Timers that are still set. */
  get pending(): number {
    return this.timers.size;
  }

  /** Time passes in which no timer runs, as when a process is stopped; the timers due are late. */
  standStill(ms: number): void {
    this.nowAtMs += ms;
  }

  /** Runs every timer due until then; `each` is called once all that a timer set off has settled. */
  async runUntil(instantMs: number, each: () => void): Promise<void> {
    for (;;) {
      const next = this.earliest();
      if (next === undefined || next.atMs > instantMs) break;
      this.timers.delete(next);
      this.nowAtMs = Math.max(this.nowAtMs, next.atMs);
      next.callback();
      await settle();
      each();
    }
    this.nowAtMs = Math.max(this.nowAtMs, instantMs);
  }

  private earliest(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.timers) {
      const isEarlier =
        first === undefined ||
        timer.atMs < first.atMs ||
        (timer.atMs === first.atMs && timer.order < first.order);
      if (isEarlier) first = timer;
    }
    return first;
  }
}

/** Every promise that can settle by now has: immediates come after all microtasks. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
