/**
 * The calls of one HTTP/1.1 connection. A client may send further ones before it has an answer, and
 * gets the answers in that order: so each call begins when the one before has ended, in a later turn
 * of the event loop. One that waits holds nothing but its request.
 */
import type { Socket } from "node:net";
import { limits } from "../limits.js";

export class Pipeline {
  private isBusy = false;
  /** Calls that have not begun yet, oldest first. */
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly socket: Socket) {}

  /** True when the connection has as many calls as it may have, begun or not. */
  get isFull(): boolean {
    return this.waiting.length + 1 >= limits.callsPerConnectionMax && this.isBusy;
  }

  /** Begins the call: now, or after those that came before it. `end` has to follow. */
  add(begin: () => void): void {
    if (this.isBusy) this.waiting.push(begin);
    else {
      this.isBusy = true;
      begin();
    }
  }

  /** Ends the call that has begun. Once the connection is closed, no other begins. */
  end(): void {
    setImmediate(() => {
      const next = this.socket.destroyed ? undefined : this.waiting.shift();
      if (next === undefined) this.isBusy = false;
      else next();
    });
  }
}
