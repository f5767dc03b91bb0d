/**
 * When the calls of one HTTP/2 connection begin: one in a turn of the event loop, the rest in later
 * ones. So whoever sends many waits for its own, and the others have their turn in between; and
 * what was taken back by then is never begun, which costs many times what a reset does
 * (CVE-2023-44487).
 */
import type { ServerHttp2Stream } from "node:http2";

/** What of a call's stream decides whether the call begins. */
export interface WaitingStream extends Pick<ServerHttp2Stream, "closed"> {
  destroy(): unknown;
}

export class CallTurns {
  /** As many as may be open, and those taken back before the connection is cut for it. */
  private readonly waiting: { stream: WaitingStream; begin: () => void }[] = [];

  /** Begins the call in a later turn, in the order of being added. */
  add(stream: WaitingStream, begin: () => void): void {
    this.waiting.push({ stream, begin });
    if (this.waiting.length === 1) setImmediate(() => this.turn());
  }

  private turn(): void {
    let next = this.waiting.shift();
    while (next?.stream.closed === true) {
      // Nobody reads what it still holds, and would so bring it to its end.
      next.stream.destroy();
      next = this.waiting.shift();
    }
    next?.begin();
    if (this.waiting.length > 0) setImmediate(() => this.turn());
  }
}
