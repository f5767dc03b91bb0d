/** Virtual time: a queue of timers that the simulation runs through, one at a time, in order. */
import type { Clock } from "../../server/clock.js";

interface Timer {
  atMs: number;
  order: number;
  callback: () => void;
  isCancelled: boolean;
}

export class VirtualClock implements Clock {
  private nowAtMs = 0;
  private order = 0;
  /** A binary heap: a timer is never before the one at half its index. Cancelled ones stay in it. */
  private readonly heap: Timer[] = [];
  private cancelled = 0;

  nowMs(): number {
    return this.nowAtMs;
  }

  unixMs(): number {
    return 1_700_000_000_000 + this.nowAtMs;
  }

  at(instantMs: number, callback: () => void): () => void {
    const atMs = Math.max(instantMs, this.nowAtMs);
    const timer = { atMs, order: this.order++, callback, isCancelled: false };
    this.push(timer);
    return () => {
      if (timer.isCancelled) return;
      timer.isCancelled = true;
      this.cancelled++;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.at(this.nowAtMs + ms, resolve));
  }

  /** Timers that are still set. */
  get pending(): number {
    return this.heap.length - this.cancelled;
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
      this.shift();
      // Cancelling a timer that has fired does nothing.
      next.isCancelled = true;
      this.nowAtMs = Math.max(this.nowAtMs, next.atMs);
      next.callback();
      await settle();
      each();
    }
    this.nowAtMs = Math.max(this.nowAtMs, instantMs);
  }

  private earliest(): Timer | undefined {
    for (;;) {
      const [first] = this.heap;
      if (first?.isCancelled !== true) return first;
      this.shift();
      this.cancelled--;
    }
  }

  private push(timer: Timer): void {
    const { heap } = this;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, timer)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  /** Removes the first timer of the heap. */
  private shift(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [a, b] = [heap[left], heap[left + 1]];
      const isRight = a !== undefined && b !== undefined && isBefore(b, a);
      const child = isRight ? b : a;
      if (child === undefined || isBefore(last, child)) break;
      heap[at] = child;
      at = isRight ? left + 1 : left;
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Every promise that can settle by now has: immediates come after all microtasks. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
