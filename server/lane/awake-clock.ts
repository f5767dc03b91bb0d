/**
 * A clock that stands still while the service does: stopped by a signal or a debugger, paused with
 * its container, or without a turn of its event loop. Provers are timed by it, so that a healthy one
 * is not judged by time in which the service could not hear it. Deadlines and fences are not: they
 * pass also while the service stands still. The lane's beat says when it expects its next turn.
 */
import type { Clock } from "../clock.js";

/** Lateness of a turn, in milliseconds, that is no standstill but load. */
const LATE_MS_MAX = 250;

export class AwakeClock implements Clock {
  private stoodStillBeforeMs = 0;
  private dueAtMs = Infinity;
  private wasResumedAtMs = -Infinity;

  constructor(private readonly clock: Clock) {}

  /** Ends one expectation and begins the next: a turn of the event loop at `dueAtMs`. */
  expectTurn(dueAtMs: number): void {
    const lateMs = this.lateMs();
    if (lateMs > 0) this.wasResumedAtMs = this.clock.nowMs();
    this.stoodStillBeforeMs += lateMs;
    this.dueAtMs = dueAtMs;
  }

  /** How long the service has stood still so far, in milliseconds. */
  get stoodStillMs(): number {
    return this.stoodStillBeforeMs + this.lateMs();
  }

  /** The instant of the real clock at which it last went on; -Infinity before it stood still. */
  get resumedAtMs(): number {
    return this.lateMs() > 0 ? this.clock.nowMs() : this.wasResumedAtMs;
  }

  nowMs(): number {
    return this.clock.nowMs() - this.stoodStillMs;
  }

  unixMs(): number {
    return this.clock.unixMs();
  }

  at(instantMs: number, callback: () => void): () => void {
    let cancel = () => {};
    const wait = () => {
      const realMs = instantMs + this.stoodStillMs;
      cancel = this.clock.at(realMs, () => {
        // The service has stood still meanwhile: what is left begins now.
        if (instantMs + this.stoodStillMs > realMs) wait();
        else callback();
      });
    };
    wait();
    return () => cancel();
  }

  private lateMs(): number {
    return Math.max(0, this.clock.nowMs() - this.dueAtMs - LATE_MS_MAX);
  }
}
