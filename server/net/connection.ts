/**
 * A connection from its being accepted to its end: what it does at the moment, and so what it is
 * worth when its listener has no room for another. Whoever serves it says when calls begin and end.
 */
import type { Socket } from "node:net";
import type { Clock } from "../clock.js";

export class Connection {
  /** Monotonic. */
  readonly startedMs: number;
  /** Of no meaning while it is busy. */
  idleSinceMs: number;
  private calls = 0;
  private hasCalled = false;

  /**
   * @param socket as accepted: over TLS, the one beneath
   * @param blame told that it is cut for what it did
   */
  constructor(
    readonly socket: Socket,
    private readonly clock: Clock,
    readonly blame: () => void,
  ) {
    this.startedMs = clock.nowMs();
    this.idleSinceMs = this.startedMs;
  }

  /** A call is in progress, or waits to be. */
  get isBusy(): boolean {
    return this.calls > 0;
  }

  beginCall(): void {
    this.calls++;
    this.hasCalled = true;
  }

  endCall(): void {
    this.calls--;
    this.idleSinceMs = this.clock.nowMs();
  }

  /** Of two that are not busy: one that has never called, or else the one idle for longer. */
  isWorthLessThan(other: Connection): boolean {
    if (this.hasCalled !== other.hasCalled) return other.hasCalled;
    return this.idleSinceMs < other.idleSinceMs;
  }
}
