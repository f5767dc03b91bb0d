/**
 * A budget of bytes for everything that clients make the service hold in memory: arriving requests,
 * accepted sessions, and answers until they are read. The RPC layer reserves bytes when a call's
 * headers and body arrive and when the call is answered; admission does when it accepts a snapshot.
 * A request that does not fit is refused before its body is read.
 */
import { Refusal } from "./errors.js";
import { limits } from "./limits.js";

export class MemoryBudget {
  private held = 0;
  private heldByAnswers = 0;

  /**
   * @param changed called after each change with the bytes held in all, for a gauge
   * @param callRefused called for each call that is refused because it does not fit, for a counter
   */
  constructor(
    private readonly bytesMax: number,
    private readonly changed: (heldBytes: number) => void = () => undefined,
    private readonly callRefused: () => void = () => undefined,
  ) {}

  get heldBytes(): number {
    return this.held;
  }

  /** Reserves a share, which the caller has to release; undefined when it does not fit. */
  reserve(bytes: number): MemoryShare | undefined {
    return this.take(bytes) ? new MemoryShare(bytes, (more) => this.take(more)) : undefined;
  }

  /** Like `reserve`, for a call whose headers have arrived; counts one that does not fit. */
  reserveForCall(bytes: number): MemoryShare | undefined {
    const share = this.reserve(bytes);
    if (share === undefined) this.callRefused();
    return share;
  }

  /** Like `reserve`, for an answer; all answers together may have `answersPercentMax` of it. */
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

  /** Takes bytes, or returns them when negative; false, and no change, when they do not fit. */
  private take(bytes: number): boolean {
    if (bytes > 0 && this.held + bytes > this.bytesMax) return false;
    this.held += bytes;
    this.changed(this.held);
    return true;
  }
}

/** Bytes of the budget that are reserved for one thing, such as one answer. */
export class MemoryShare {
  private isReleased = false;

  constructor(
    private bytes: number,
    private readonly take: (bytes: number) => boolean,
  ) {}

  get heldBytes(): number {
    return this.isReleased ? 0 : this.bytes;
  }

  /** Changes the share to `bytes`. False, and no change, if they do not fit or it was released. */
  resize(bytes: number): boolean {
    if (this.isReleased || !this.take(bytes - this.bytes)) return false;
    this.bytes = bytes;
    return true;
  }

  /** Returns the bytes to the budget. Idempotent: several events may end the same call. */
  release(): void {
    this.resize(0);
    this.isReleased = true;
  }
}

/** The refusal of a call of which the request or the answer does not fit in the budget. */
export function overloaded(what: "request" | "answer" = "request"): Refusal {
  return new Refusal("resource_exhausted", "", `overloaded: no memory is free for this ${what}`);
}
