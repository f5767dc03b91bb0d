/**
 * Notices that a stream is silent. The stream's reader starts it anew with each event; it aborts its
 * signal when nothing has come for the allowed time. A stall of this process is no silence.
 */

/** A timer that is later than this, in milliseconds, says that this process itself has stalled. */
const STALL_MS = 500;

export class Silence {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private turn: NodeJS.Immediate | undefined;

  /** Aborts when the stream is silent. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** From now on, nothing needs to come for `allowedMs` milliseconds. Replaces an earlier start. */
  start(allowedMs: number): void {
    this.stop();
    const dueAtMs = performance.now() + allowedMs;
    this.timer = setTimeout(() => {
      if (performance.now() - dueAtMs > STALL_MS) this.start(allowedMs);
      // Timers run before sockets are read: what has arrived in a shorter stall is read first.
      else this.turn = setImmediate(() => this.controller.abort());
    }, allowedMs);
  }

  stop(): void {
    clearTimeout(this.timer);
    clearImmediate(this.turn);
  }
}
