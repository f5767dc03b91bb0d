/** A lane's beat: a callback every half second, and the turns by which its clock sees a standstill. */
import type { Clock } from "../clock.js";
import type { AwakeClock } from "./awake-clock.js";

/**
 * Milliseconds between two beats. At each one the lane checks silence and memory of its provers,
 * makes the retries that are due, and announces its state.
 */
const BEAT_MS = 500;

export class Beat {
  private cancel = () => {};

  constructor(
    private readonly clock: Clock,
    private readonly awake: AwakeClock,
    private readonly onBeat: () => void,
  ) {}

  start(): void {
    this.turnAt(this.clock.nowMs() + BEAT_MS, () => {
      // One more turn of the event loop, in which everything that provers have sent by now is read.
      this.turnAt(this.clock.nowMs(), () => {
        this.onBeat();
        this.start();
      });
    });
  }

  stop(): void {
    this.cancel();
    this.awake.expectTurn(Infinity);
  }

  private turnAt(dueAtMs: number, act: () => void): void {
    this.awake.expectTurn(dueAtMs);
    this.cancel = this.clock.at(dueAtMs, act);
  }
}
