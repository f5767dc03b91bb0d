/** Computes the figures that a bench reports of its samples. Pure. */

/** The figures of a repeated measurement, in the unit of its samples. */
export interface Spread {
  median: number;
  /** The first and third quartile: half of the samples lie between them. */
  q1: number;
  q3: number;
  /** Standard error of the median. */
  error: number;
}

/** Standard deviations that the interquartile range of a normal distribution spans. */
const IQR_DEVIATIONS = 1.349;
/** Factor by which a median's standard error exceeds a mean's, for a normal distribution. */
const MEDIAN_OVER_MEAN = Math.sqrt(Math.PI / 2);

/** The quantile `q`, from 0 to 1, interpolated between the two nearest samples; NaN without any. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)] ?? NaN;
  const above = sorted[Math.ceil(position)] ?? NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/**
 * Median, quartiles and error. The error comes from the quartiles: one outlier does not widen it.
 */
export function spread(samples: readonly number[]): Spread {
  const [q1, median, q3] = [0.25, 0.5, 0.75].map((q) => quantile(samples, q));
  if (q1 === undefined || median === undefined || q3 === undefined) throw new Error("no quartiles");
  const deviation = (q3 - q1) / IQR_DEVIATIONS;
  return { median, q1, q3, error: (MEDIAN_OVER_MEAN * deviation) / Math.sqrt(samples.length) };
}

/**
 * Subtracts `before` from `after`, pair by pair: what drifts over the run is in both, and cancels
 * out. Throws when the lengths differ.
 */
export function differences(before: readonly number[], after: readonly number[]): number[] {
  if (before.length !== after.length) throw new Error("the pairs are not complete");
  return after.map((value, at) => value - (before[at] ?? NaN));
}
