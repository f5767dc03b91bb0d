/**
 * One budget of bytes for all that clients make the service hold: requests on their way in, what
 * accepted sessions keep, and answers on their way out. The rpc stacks reserve when a call's
 * headers arrive, as its bytes do, and when it is answered; admission when it accepts a snapshot.
 * What does not fit is refused while it is still the client's to hold.
 */
import { limits } from "./limits.js";

export class MemoryBudget {
  private held = 0;
  private heldByAnswers = 0;

  /**
   * @param changed told the bytes held after each change, for a gauge
   * @param callRefused told of each call that did not fit, for a counter
   */
  constructor(
    private readonly bytesMax: number,
    private readonly changed: (heldBytes: number) => void = () => undefined,
    private readonly callRefused: () => void = () => undefined,
  ) {}

  get heldBytes(): number {
    return this.held;
  }

  /** A share of the budget; undefined when it does not fit. Whoever reserves releases. */
  reserve(bytes: number): MemoryShare | undefined {
    return this.take(bytes) ? new MemoryShare(bytes, (more) => this.take(more)) : undefined;
  }

  /** As `reserve`, for a call that is refused unread when it does not fit. */
  reserveForCall(bytes: number): MemoryShare | undefined {
    const share = this.reserve(bytes);
    if (share === undefined) this.callRefused();
    return share;
  }

  /** As `reserve`, for an answer until it is taken. */
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

  /** Shrinks always; growth that does not fit, or comes after the release, changes nothing. */
  resize(bytes: number): boolean {
    if (this.isReleased || !this.take(bytes - this.bytes)) return false;
    this.bytes = bytes;
    return true;
  }

  /** Idempotent: a call may end in several ways at once. */
  release(): void {
    this.resize(0);
    this.isReleased = true;
  }
}
