/**
 * The answer of one call, held in the memory budget from when it is made until its caller has taken
 * it, or the call has ended in another way. Whoever takes too long is cut.
 */
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { MemoryBudget } from "../memory-budget.js";
import { overloaded } from "./request-limits.js";

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

  /** Before the answer is given, once a call. Throws a `Refusal` when there is no room for it. */
  hold(bytes: number): void {
    // The caller left while its answer was waited for: nothing will be sent.
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

  /** To be called when the call ends, however it ends. Idempotent. */
  release(): void {
    this.isOver = true;
    this.letGo();
  }
}
