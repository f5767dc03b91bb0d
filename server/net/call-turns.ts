/**
 * Begins the calls of one HTTP/2 connection, one in each turn of the event loop. A client that opens
 * many calls delays only itself. A call that is reset before its turn never begins: to begin a call
 * costs many times what a reset costs (CVE-2023-44487).
 */
import type { ServerHttp2Stream } from "node:http2";

/** The part of a call's stream that decides whether the call begins. */
export interface WaitingStream extends Pick<ServerHttp2Stream, "closed"> {
  destroy(): unknown;
}

export class CallTurns {
  /**
   * Calls that have not begun yet, oldest first. Bounded: a connection may have
   * `callsPerConnectionMax` calls open, and is cut after `resetsMax` resets.
   */
  private readonly waiting: { stream: WaitingStream; begin: () => void }[] = [];

  /** Begins the call in a later turn; calls begin in the order in which they were added. */
  add(stream: WaitingStream, begin: () => void): void {
    this.waiting.push({ stream, begin });
    if (this.waiting.length === 1) setImmediate(() => this.turn());
  }

  private turn(): void {
    let next = this.waiting.shift();
    while (next?.stream.closed === true) {
      // Nobody will read the data of a call that never begins, so its stream would never end.
      next.stream.destroy();
      next = this.waiting.shift();
    }
    next?.begin();
    if (this.waiting.length > 0) setImmediate(() => this.turn());
  }
}
