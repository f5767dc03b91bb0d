/** Successive multiples of it, modulo 1, are spread evenly whatever their number. */
const GOLDEN_RATIO = 0.618_034;

/** The nth, from 0, of numbers from 0 to 1 that are spread evenly however many are taken. Pure. */
export function spread(nth: number): number {
  return (nth * GOLDEN_RATIO) % 1;
}
