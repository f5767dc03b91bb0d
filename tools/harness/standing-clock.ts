/**
 * The system's clock, which a test can stop, for what depends on the time that has passed since an
 * earlier call: it stands still from `stand` to `run`.
 */
import type { Clock } from "../../server/clock.js";
import { systemClock } from "../../server/clock.js";

interface Timer {
  instantMs: number;
  callback: () => void;
  /** Stops the system's timer; undefined while the clock stands. */
  stop: (() => void) | undefined;
}

export class StandingClock implements Clock {
  /** Its time less the system's while it runs, else the instant at which it stands. */
  private state: { kind: "running"; aheadMs: number } | { kind: "standing"; atMs: number } = {
    kind: "running",
    aheadMs: 0,
  };
  private readonly timers = new Set<Timer>();

  nowMs = (): number =>
    this.state.kind === "standing" ? this.state.atMs : systemClock.nowMs() + this.state.aheadMs;
  unixMs = (): number => systemClock.unixMs();

  at(instantMs: number, callback: () => void): () => void {
    const timer: Timer = { instantMs, callback, stop: undefined };
    this.timers.add(timer);
    this.arm(timer);
    return () => {
      timer.stop?.();
      this.timers.delete(timer);
    };
  }

  /** Stops the time. Timers that are not due do not fire until it goes on. */
  stand(): void {
    this.state = { kind: "standing", atMs: this.nowMs() };
    this.armAll();
  }

  /** Lets the time go on from here. */
  run(): void {
    this.state = { kind: "running", aheadMs: this.nowMs() - systemClock.nowMs() };
    this.armAll();
  }

  private armAll(): void {
    for (const timer of this.timers) this.arm(timer);
  }

  /** Sets the system's timer for one that is due, or will be as the time goes on. */
  private arm(timer: Timer): void {
    timer.stop?.();
    timer.stop = undefined;
    const waitMs = timer.instantMs - this.nowMs();
    if (this.state.kind === "standing" && waitMs > 0) return;
    timer.stop = systemClock.at(systemClock.nowMs() + waitMs, () => {
      this.timers.delete(timer);
      timer.callback();
    });
  }
}
