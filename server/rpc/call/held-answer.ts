/**
 * Memory reserved for the answer of one call, until the call ends: its caller has read the answer,
 * or has left. A call whose caller takes too long to read is cut.
 */
import type { Clock } from "../../clock.js";
import { limits } from "../../limits.js";
import type { MemoryBudget } from "../../memory-budget.js";
import { overloaded } from "../../memory-budget.js";

export interface HeldAnswerModules {
  clock: Clock;
  memory: MemoryBudget;
}

export class HeldAnswer {
  /** True once the call has ended. */
  private isOver = false;
  private letGo = () => {};

  /** @param cut ends the call at once, even if some of the answer is not sent yet */
  constructor(
    private readonly cut: () => void,
    private readonly modules: HeldAnswerModules,
  ) {}

  /**
   * Reserves `bytes`, and starts the caller's time to read. To be called at most once, before the
   * answer is returned. Throws a `Refusal` when no memory is free.
   */
  hold(bytes: number): void {
    // The caller left before there was an answer: nothing will be sent.
    if (this.isOver) return;
    const { clock, memory } = this.modules;
    const share = memory.reserveForAnswer(bytes);
    if (share === undefined) throw overloaded("answer");
    const cancelTimer = clock.at(clock.nowMs() + limits.answerTakeMsMax, this.cut);
    this.letGo = () => {
      cancelTimer();
      share.release();
    };
  }

  /** Releases the memory. To be called when the call ends, however it ends. Idempotent. */
  release(): void {
    this.isOver = true;
    this.letGo();
  }
}
