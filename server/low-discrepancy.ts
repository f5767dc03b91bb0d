/** Successive multiples of the golden ratio, modulo 1, cover the unit interval most evenly. */
const GOLDEN_RATIO = 0.618_034;

/**
 * Term `nth` (from 0) of the golden-ratio low-discrepancy sequence: numbers in [0, 1) that are
 * spread evenly however many of them are taken. Pure: the same term is always the same number.
 */
export function lowDiscrepancy(nth: number): number {
  return (nth * GOLDEN_RATIO) % 1;
}
