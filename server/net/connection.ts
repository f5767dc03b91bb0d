/**
 * One accepted connection: whether it is busy, and how it ranks when its listener is full and has to
 * close one. The server that serves it reports when calls begin and end.
 */
import type { Socket } from "node:net";
import type { Clock } from "../clock.js";

export class Connection {
  /** Monotonic, in milliseconds. */
  readonly startedMs: number;
  /** Meaningless while the connection is busy. */
  idleSinceMs: number;
  private calls = 0;
  private hasCalled = false;

  /**
   * @param socket the accepted socket; over TLS, the one below it
   * @param blame called when the connection is cut for what it did
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

  /** Compares two idle connections: less is one that has never called, else the one idle for longer. */
  isWorthLessThan(other: Connection): boolean {
    if (this.hasCalled !== other.hasCalled) return other.hasCalled;
    return this.idleSinceMs < other.idleSinceMs;
  }
}
