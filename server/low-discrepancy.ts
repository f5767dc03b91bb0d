/** The golden ratio less 1. Its multiples, modulo 1, are spread most evenly over 0 to 1. */
const GOLDEN_RATIO = 0.618_034;

/**
 * Number `nth` (from 0) of a low-discrepancy sequence: numbers from 0 to 1 (excluded) that are
 * spread evenly, however many of them are taken. Pure: the same `nth` gives the same number.
 */
export function lowDiscrepancy(nth: number): number {
  return (nth * GOLDEN_RATIO) % 1;
}
