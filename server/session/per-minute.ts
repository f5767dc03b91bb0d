/** Counts what is allowed only so often within a minute. */

const MINUTE_MS = 60_000;

export class PerMinute {
  /** When it was taken, within the last minute. */
  private takenAtMs: number[] = [];

  /**
   * @param max how often within any minute
   * @param nowMs the service's monotonic clock, in milliseconds
   */
  constructor(
    private readonly max: number,
    private readonly nowMs: () => number,
  ) {}

  /** Forgets what was taken. */
  clear(): void {
    this.takenAtMs = [];
  }

  /**
   * Takes so many, and returns 0, while one is left; they may be more than that. Else returns the milliseconds
   * until one is left again.
   */
  take(count = 1): number {
    const nowMs = this.nowMs();
    const recent = this.takenAtMs.filter((atMs) => nowMs < atMs + MINUTE_MS);
    const [oldest = nowMs] = recent;
    if (recent.length >= this.max) return Math.ceil(oldest + MINUTE_MS - nowMs);
    this.takenAtMs = [...recent, ...Array<number>(count).fill(nowMs)];
    return 0;
  }
}
