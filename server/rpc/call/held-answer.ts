/**
 * Memory reserved for the answer of one call, until the call ends: its caller has read the answer,
 * or has left. A call whose caller takes too long to read is cut.
 */
import type { Clock } from "../../clock.js";
import { limits } from "../../limits.js";
import type { MemoryBudget, MemoryShare } from "../../memory-budget.js";
import { overloaded } from "../../memory-budget.js";

export interface HeldAnswerModules {
  clock: Clock;
  memory: MemoryBudget;
}

export class HeldAnswer {
  /** True once the call has ended. */
  private isOver = false;
  private share: MemoryShare | undefined;
  private cancelTimer = () => {};

  /** @param cut ends the call at once, even if some of the answer is not sent yet */
  constructor(
    private readonly cut: () => void,
    private readonly modules: HeldAnswerModules,
  ) {}

  /**
   * Reserves `bytes`, and starts the caller's time to read. To be called at most once, before the answer is
   * returned. Throws a `Refusal` when no memory is free.
   */
  hold(bytes: number): void {
    // The caller left before there was an answer: nothing will be sent.
    if (this.isOver) return;
    this.share = this.modules.memory.reserveForAnswer(bytes);
    if (this.share === undefined) throw overloaded("answer");
    this.answered();
  }

  /** Starts the caller's time to read. To be called once there is an answer, of whatever size. */
  answered(): void {
    if (this.isOver) return;
    const { clock } = this.modules;
    this.cancelTimer();
    this.cancelTimer = clock.at(clock.nowMs() + limits.answerTakeMsMax, this.cut);
  }

  /** Releases the memory. To be called when the call ends, however it ends. Idempotent. */
  release(): void {
    this.isOver = true;
    this.cancelTimer();
    this.share?.release();
  }
}
