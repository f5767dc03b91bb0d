/** A lane's beat: a callback every half second, with whether it came in time. */
import type { Clock } from "../clock.js";

/**
 * Milliseconds between two beats. At each one the lane checks silence and memory of its provers,
 * makes the retries that are due, and announces its state.
 */
const BEAT_MS = 500;
/** A beat later than this, in milliseconds, shows a busy event loop: no silence is judged by it. */
const BEAT_LATE_MS_MAX = 250;

export class Beat {
  private cancel = () => {};

  constructor(
    private readonly clock: Clock,
    private readonly onBeat: (isOnTime: boolean) => void,
  ) {}

  start(): void {
    const { clock } = this;
    const dueAtMs = clock.nowMs() + BEAT_MS;
    this.cancel = clock.at(dueAtMs, () => {
      const isOnTime = clock.nowMs() - dueAtMs <= BEAT_LATE_MS_MAX;
      // One more turn of the event loop, in which everything that provers have sent by now is read.
      this.cancel = clock.at(clock.nowMs(), () => {
        this.onBeat(isOnTime);
        this.start();
      });
    });
  }

  stop(): void {
    this.cancel();
  }
}
