/**
 * The answer of one call, held in the memory budget from when it is made until its caller has read
 * it or the call has ended in another way. A caller that takes too long to read is cut off.
 */
import type { Clock } from "./clock.js";
import { limits } from "./limits.js";
import type { MemoryBudget } from "./memory-budget.js";
import { overloaded } from "./memory-budget.js";

export interface HeldAnswerModules {
  clock: Clock;
  memory: MemoryBudget;
}

export class HeldAnswer {
  private isOver = false;
  private letGo = () => {};

  /** @param cut ends the call, whatever is still to be sent */
  constructor(
    private readonly cut: () => void,
    private readonly modules: HeldAnswerModules,
  ) {}

  /** Call it at most once, before the answer is returned. Throws a `Refusal` when no memory is free. */
  hold(bytes: number): void {
    // The caller left while the handler ran: nothing will be sent.
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

  /** Call it when the call ends, however it ends. Idempotent. */
  release(): void {
    this.isOver = true;
    this.letGo();
  }
}
