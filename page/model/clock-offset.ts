/**
 * How much the browser's clock is ahead of the service's: the least of the last minute, which had the
 * least delay on its way. An older one says nothing: the clocks drift apart, and one of them may stop
 * while its machine sleeps. Pure.
 */

/** How long a difference counts, in milliseconds. */
const KEPT_MS = 60_000;

export class ClockOffset {
  /** The least difference, and after it the least of those that came later. */
  private seen: { atMs: number; offsetMs: number }[] = [];

  /** In milliseconds; `Infinity` before the first answer. */
  get ms(): number {
    return this.seen[0]?.offsetMs ?? Infinity;
  }

  /**
   * @param atMs when the answer came, on the browser's clock
   * @param nowMs the instant of the answer, on the service's clock
   */
  take(atMs: number, nowMs: number): void {
    const offsetMs = atMs - nowMs;
    this.seen = this.seen.filter((each) => each.offsetMs < offsetMs && each.atMs > atMs - KEPT_MS);
    this.seen.push({ atMs, offsetMs });
  }

  /** Another stream, maybe of another run, begins anew. */
  reset(): void {
    this.seen = [];
  }
}
