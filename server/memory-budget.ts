/**
 * One budget of bytes for all that clients make the service hold: requests on their way in, and
 * what accepted sessions keep. The rpc stacks reserve when a call's headers arrive and as its bytes
 * do, admission when it accepts a snapshot; what does not fit is refused while it is still the
 * client's to hold.
 */
export class MemoryBudget {
  private held = 0;

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
