/** Virtual time over a binary heap, so that thousands of timers cost the measured code nothing. */
import type { Clock } from "../../../server/clock.js";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

export class HeapClock implements Clock {
  private instantMs = 0;
  private order = 0;
  private readonly heap: Timer[] = [];

  nowMs(): number {
    return this.instantMs;
  }

  unixMs(): number {
    return 1_700_000_000_000 + this.instantMs;
  }

  at(instantMs: number, callback: () => void): () => void {
    const atMs = Math.max(instantMs, this.instantMs);
    const timer: Timer = { atMs, order: this.order++, callback };
    this.push(timer);
    return () => {
      timer.callback = undefined;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.at(this.instantMs + ms, resolve));
  }

  /** Runs every timer due until then, in order. */
  runUntil(instantMs: number): void {
    for (let next = this.heap[0]; next !== undefined && next.atMs <= instantMs;) {
      this.pop();
      this.instantMs = next.atMs;
      next.callback?.();
      next = this.heap[0];
    }
    this.instantMs = instantMs;
  }

  private push(timer: Timer): void {
    const { heap } = this;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(timer, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [a, b] = [heap[left], heap[left + 1]];
      if (a === undefined) break;
      const isRight = b !== undefined && isBefore(b, a);
      const below = isRight ? b : a;
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = isRight ? left + 1 : left;
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
