/**
 * When an aggregator submits: once a slot, early if two thirds of the expected votes are in, else
 * in interval 2. Early waits a moment for the votes that come close behind, unless all are in. What finds the
 * aggregator busy early is asked again in interval 2.
 */
import { isSupermajority } from "../chain/justification.js";

export class AggregationDuty {
  /** The latest slot that was submitted, or whose interval 2 has asked. */
  #askedSlot = 0;
  /** The latest slot that was asked early. */
  #earlySlot = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly options: { validators: number; earlyWaitMs: number },
    /** Returns whether anything was taken. */
    private readonly submit: (slot: number, isEarly: boolean) => boolean,
  ) {}

  /** So many votes of this slot are in. */
  onVotes(slot: number, votes: number): void {
    const { validators, earlyWaitMs } = this.options;
    if (slot <= Math.max(this.#askedSlot, this.#earlySlot)) return;
    if (!isSupermajority(votes, validators)) return;
    const isComplete = votes >= validators;
    if (this.#timer !== null && !isComplete) return;
    this.cancel();
    this.#timer = setTimeout(() => this.#ask(slot, true), isComplete ? 0 : earlyWaitMs);
  }

  /** Interval 2. */
  onInterval(slot: number): void {
    this.#ask(slot, false);
  }

  cancel(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #ask(slot: number, isEarly: boolean): void {
    this.cancel();
    if (slot <= this.#askedSlot) return;
    const isTaken = this.submit(slot, isEarly);
    if (isEarly) this.#earlySlot = slot;
    if (isTaken || !isEarly) this.#askedSlot = slot;
  }
}
