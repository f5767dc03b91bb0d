/** The system's clock, which may be put forward: past fences and retention without waiting. */
import type { Clock } from "../../server/clock.js";
import { systemClock } from "../../server/clock.js";

export class SkippingClock implements Clock {
  private skippedMs = 0;
  nowMs = () => systemClock.nowMs() + this.skippedMs;
  unixMs = () => systemClock.unixMs();
  at = (instantMs: number, callback: () => void) =>
    systemClock.at(instantMs - this.skippedMs, callback);

  /** Timers that are set already come when they would have. */
  skip(ms: number): void {
    this.skippedMs += ms;
  }
}
