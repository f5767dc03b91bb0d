/**
 * One accepted connection: whether it is busy, and whether a full listener closes it first.
 * The server that serves the connection reports when calls begin and end.
 */
import type { Socket } from "node:net";
import type { Clock } from "../clock.js";

export class Connection {
  /** When the connection was accepted, on the monotonic clock. */
  readonly startedMs: number;
  /** When it became idle, else when it was accepted; while it is busy, when it became busy. */
  sinceMs: number;
  private calls = 0;
  private hasCalled = false;

  /**
   * @param socket the accepted TCP or Unix socket; with TLS, still this one and not the TLS socket
   * @param blame called when the connection is cut because the client misused it
   */
  constructor(
    readonly socket: Socket,
    private readonly clock: Clock,
    readonly blame: () => void,
  ) {
    this.startedMs = clock.nowMs();
    this.sinceMs = this.startedMs;
  }

  /** True while a call is in progress or waits to begin. */
  get isBusy(): boolean {
    return this.calls > 0;
  }

  beginCall(): void {
    if (!this.isBusy) this.sinceMs = this.clock.nowMs();
    this.calls++;
    this.hasCalled = true;
  }

  endCall(): void {
    this.calls--;
    if (!this.isBusy) this.sinceMs = this.clock.nowMs();
  }

  /** An idle connection is worth less than a busy one, one that never had a call less than both. */
  isWorthLessThan(other: Connection): boolean {
    if (this.isBusy !== other.isBusy) return other.isBusy;
    if (this.hasCalled !== other.hasCalled) return other.hasCalled;
    return this.sinceMs < other.sinceMs;
  }
}
