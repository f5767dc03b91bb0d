/**
 * One budget of bytes for everything that clients make the service hold: arriving requests,
 * accepted sessions, and answers until they are read. The RPC layer reserves when a call's headers
 * and bytes arrive and when it is answered; admission reserves when it accepts a snapshot. A
 * request that does not fit is refused before its body is read.
 */
import { Refusal } from "./errors.js";
import { limits } from "./limits.js";

export class MemoryBudget {
  private held = 0;
  private heldByAnswers = 0;

  /**
   * @param changed called with the bytes held after each change, for a gauge
   * @param callRefused called for each call that did not fit, for a counter
   */
  constructor(
    private readonly bytesMax: number,
    private readonly changed: (heldBytes: number) => void = () => undefined,
    private readonly callRefused: () => void = () => undefined,
  ) {}

  get heldBytes(): number {
    return this.held;
  }

  /** A share of the budget, which the caller releases; undefined when it does not fit. */
  reserve(bytes: number): MemoryShare | undefined {
    return this.take(bytes) ? new MemoryShare(bytes, (more) => this.take(more)) : undefined;
  }

  /** Like `reserve`, for a call that is refused unread when it does not fit. */
  reserveForCall(bytes: number): MemoryShare | undefined {
    const share = this.reserve(bytes);
    if (share === undefined) this.callRefused();
    return share;
  }

  /** Like `reserve`, for an answer until it is read; all answers share `answersPercentMax`. */
  reserveForAnswer(bytes: number): MemoryShare | undefined {
    const take = (more: number) => {
      const answersMax = (this.bytesMax * limits.answersPercentMax) / 100;
      const isOver = more > 0 && this.heldByAnswers + more > answersMax;
      if (isOver || !this.take(more)) return false;
      this.heldByAnswers += more;
      return true;
    };
    return take(bytes) ? new MemoryShare(bytes, take) : undefined;
  }

  private take(bytes: number): boolean {
    if (bytes > 0 && this.held + bytes > this.bytesMax) return false;
    this.held += bytes;
    this.changed(this.held);
    return true;
  }
}

/** Bytes reserved for one purpose, by one owner. */
export class MemoryShare {
  private isReleased = false;

  constructor(
    private bytes: number,
    private readonly take: (bytes: number) => boolean,
  ) {}

  get heldBytes(): number {
    return this.isReleased ? 0 : this.bytes;
  }

  /** Shrinking always succeeds; false, and no change, when growth does not fit or after release. */
  resize(bytes: number): boolean {
    if (this.isReleased || !this.take(bytes - this.bytes)) return false;
    this.bytes = bytes;
    return true;
  }

  /** Returns the bytes to the budget. Idempotent: a call may end in several ways at once. */
  release(): void {
    this.resize(0);
    this.isReleased = true;
  }
}

/** The refusal of a call whose request or answer does not fit in the budget. */
export function overloaded(what: "request" | "answer" = "request"): Refusal {
  return new Refusal("resource_exhausted", "", `overloaded: no memory is free for this ${what}`);
}
