/** A lane's beat: calls back every half second, and says whether the call came in time. */
import type { Clock } from "../clock.js";

/** How often silence, memory and due retries are checked, and the lane announces itself. */
const BEAT_MS = 500;
/** A beat that is later than this shows a busy event loop, so no prover is judged by it. */
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
      // One more turn of the loop: what provers have sent by now is read before they are judged.
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
