/**
 * One accepted connection: whether it is busy, and whether a full listener closes it first.
 * The server that serves the connection reports when calls begin and end.
 */
import type { Socket } from "node:net";
import type { Clock } from "../clock.js";

export class Connection {
  /** When the connection was accepted, on the monotonic clock. */
  readonly startedMs: number;
  /** When its last call ended, else when it was accepted. Meaningless while it is busy. */
  idleSinceMs: number;
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
    this.idleSinceMs = this.startedMs;
  }

  /** True while a call is in progress or waits to begin. */
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

  /** Of two idle connections, one that never had a call is worth less, else the longer idle. */
  isWorthLessThan(other: Connection): boolean {
    if (this.hasCalled !== other.hasCalled) return other.hasCalled;
    return this.idleSinceMs < other.idleSinceMs;
  }
}
