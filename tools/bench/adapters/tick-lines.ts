/** What a node of the adapters' bench prints of the submissions that it times. Pure. */

/** Submissions of one size. */
export interface TickLine {
  bytes: number;
  count: number;
  /** Of those, the ones that the adapter skipped: quick, and no submissions. */
  skipped: number;
  p50Ms: number;
  p99Ms: number;
  /** Of the slowest hundredth, the share of time without a core; only Rust's node measures it. */
  slowestWaited?: number;
}

/** What is wrong with the times; empty: nothing is. */
export function faultsOfTicks(lines: readonly TickLine[]): string[] {
  return lines.flatMap(({ bytes, count, skipped }) =>
    skipped === 0 ? [] : [`${skipped} of ${count} submissions of ${bytes} bytes were skipped`],
  );
}
