/** The system's clock, which a test can move forward, for example past a fence, without waiting. */
import type { Clock } from "../../server/clock.js";
import { systemClock } from "../../server/clock.js";

export class SkippingClock implements Clock {
  private skippedMs = 0;
  nowMs = () => systemClock.nowMs() + this.skippedMs;
  unixMs = () => systemClock.unixMs();
  at = (instantMs: number, callback: () => void) =>
    systemClock.at(instantMs - this.skippedMs, callback);

  /** Moves the clock forward by `ms`. Timers that are set already fire when they would have. */
  skip(ms: number): void {
    this.skippedMs += ms;
  }
}
