/**
 * Begins the calls of one HTTP/2 connection, one in each turn of the event loop. A client that opens
 * many calls delays only itself, and calls reset before their turn never start (CVE-2023-44487):
 * starting one costs many times what a reset costs.
 */
import type { ServerHttp2Stream } from "node:http2";

/** The part of a call's stream that decides whether the call begins. */
export interface WaitingStream extends Pick<ServerHttp2Stream, "closed"> {
  destroy(): unknown;
}

export class CallTurns {
  /** At most the calls that may be open, and those reset before the connection is cut for it. */
  private readonly waiting: { stream: WaitingStream; begin: () => void }[] = [];

  /** Begins the call in a later turn; calls begin in the order in which they were added. */
  add(stream: WaitingStream, begin: () => void): void {
    this.waiting.push({ stream, begin });
    if (this.waiting.length === 1) setImmediate(() => this.turn());
  }

  private turn(): void {
    let next = this.waiting.shift();
    while (next?.stream.closed === true) {
      // Its data would never be read, so that it would never end.
      next.stream.destroy();
      next = this.waiting.shift();
    }
    next?.begin();
    if (this.waiting.length > 0) setImmediate(() => this.turn());
  }
}
