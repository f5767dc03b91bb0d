/** How long a run of known steps takes yet, by how long the steps done took against a guess. Pure. */

/** Guesses in milliseconds on two cores; only their ratio counts once a step is done. */
const SET_UP_MS = 6000;

export class TimeLeft {
  private doneMs = 0;
  private readonly steps: number[];

  /** @param layouts the number of layouts, each with a set-up and `shapes` measurements of `spanMs` */
  constructor({ layouts, shapes, spanMs }: { layouts: number; shapes: number; spanMs: number }) {
    const each = [SET_UP_MS, ...Array.from({ length: shapes }, () => 1.2 * spanMs)];
    this.steps = Array.from({ length: layouts }, () => each).flat();
  }

  /** Counts the next step as done. */
  stepDone(): void {
    this.doneMs += this.steps.shift() ?? 0;
  }

  /** Counts `steps` as left out. */
  leaveOut(steps: number): void {
    this.steps.splice(0, steps);
  }

  /** Milliseconds, at most `limitMs`. @param elapsedMs since the first step began */
  leftMs(elapsedMs: number, limitMs: number): number {
    const guessMs = this.steps.reduce((sum, ms) => sum + ms, 0);
    const factor = this.doneMs === 0 ? 1 : elapsedMs / this.doneMs;
    // The running step has begun: of what is guessed, its part so far is over.
    const pendingMs = this.doneMs === 0 ? guessMs - elapsedMs : guessMs * factor;
    return Math.max(0, Math.min(limitMs - elapsedMs, pendingMs));
  }
}
