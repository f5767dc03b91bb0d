/**
 * A budget of bytes for everything that clients make the service hold in memory: arriving requests,
 * accepted sessions, and answers until they are read. The RPC layer reserves bytes when a call's
 * headers and body arrive and when the call is answered; admission does when it accepts a snapshot.
 * A request that does not fit is refused before its body is read.
 */
import { Refusal } from "./errors.js";
import { limits } from "./limits.js";
import type { NoMemoryCause } from "./reasons.js";

/** Who sends a request. */
export interface Sender {
  /** An object that stands for the connection: the same one for all its calls. */
  connection: object;
  /** Names the caller, on whichever connection; undefined when its credential is not its own. */
  caller: string | undefined;
}

export class MemoryBudget {
  private held = 0;
  private heldByAnswers = 0;
  /** Bytes that requests hold. */
  private readonly heldByConnection = new WeakMap<object, number>();
  private readonly heldByCaller = new Map<string, number>();

  /**
   * @param changed called after each change with the bytes held in all, for a gauge
   * @param callRefused called for each call that is refused because it does not fit, with the cause,
   * for a counter
   */
  constructor(
    private readonly bytesMax: number,
    private readonly changed: (heldBytes: number) => void = () => undefined,
    private readonly callRefused: (cause: NoMemoryCause) => void = () => undefined,
  ) {}

  get heldBytes(): number {
    return this.held;
  }

  /** Reserves a share, which the caller has to release; undefined when it does not fit. */
  reserve(bytes: number): MemoryShare | undefined {
    return this.take(bytes) ? new MemoryShare(bytes, (more) => this.take(more)) : undefined;
  }

  /**
   * Like `reserve`, for a call whose headers have arrived; counts one that does not fit. The calls of
   * a connection may have `connectionPercentMax` of what is free. What is free falls twice as fast
   * with what the sender's caller holds, so that its connections together have half of it at most.
   */
  reserveForCall(bytes: number, sender: Sender): MemoryShare | undefined {
    const take = (more: number) => {
      if ((more > 0 && !this.hasRoomFor(more, sender)) || !this.take(more)) return false;
      this.note(more, sender);
      return true;
    };
    if (take(bytes)) return new MemoryShare(bytes, take);
    this.callRefused(this.fits(bytes) ? "share" : "budget");
    return undefined;
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

  private hasRoomFor(bytes: number, { connection, caller }: Sender): boolean {
    const own = this.heldByConnection.get(connection) ?? 0;
    // The first call of a connection may begin wherever the budget has room: it starts small.
    if (own === 0) return true;
    const ofCaller = caller === undefined ? 0 : (this.heldByCaller.get(caller) ?? 0);
    const free = this.bytesMax - this.held - ofCaller;
    return own + bytes <= (free * limits.connectionPercentMax) / 100;
  }

  private note(bytes: number, { connection, caller }: Sender): void {
    const own = this.heldByConnection.get(connection) ?? 0;
    this.heldByConnection.set(connection, own + bytes);
    if (caller === undefined) return;
    const all = (this.heldByCaller.get(caller) ?? 0) + bytes;
    if (all === 0) this.heldByCaller.delete(caller);
    else this.heldByCaller.set(caller, all);
  }

  private fits(bytes: number): boolean {
    return this.held + bytes <= this.bytesMax;
  }

  /** Takes bytes, or returns them when negative; false, and no change, when they do not fit. */
  private take(bytes: number): boolean {
    if (bytes > 0 && !this.fits(bytes)) return false;
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
    if (this.isReleased) return false;
    if (bytes !== this.bytes && !this.take(bytes - this.bytes)) return false;
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
