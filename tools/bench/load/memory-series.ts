/** Resident memory over time: its trend, and a picture of it. Pure. */

export interface MemorySample {
  atMs: number;
  bytes: number;
}

const BARS = "▁▂▃▄▅▆▇█";

/**
 * Slope of the least-squares line through the samples, in bytes a minute; NaN below two samples.
 */
export function slopePerMinute(samples: readonly MemorySample[]): number {
  const mean = (of: (sample: MemorySample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const meanMs = mean(({ atMs }) => atMs);
  const meanBytes = mean(({ bytes }) => bytes);
  const covariance = mean(({ atMs, bytes }) => (atMs - meanMs) * (bytes - meanBytes));
  const variance = mean(({ atMs }) => (atMs - meanMs) ** 2);
  return (covariance / variance) * 60_000;
}

/**
 * True when memory rises by at most a tenth of its last value a minute. The garbage collector alone
 * causes such a slope.
 */
export function isFlat(samples: readonly MemorySample[]): boolean {
  return slopePerMinute(samples) <= (samples.at(-1)?.bytes ?? 0) / 10;
}

/** A line of at most `width` bars: the highest memory in each of equal spans, on a scale from 0. */
export function sparkline(samples: readonly MemorySample[], width: number): string {
  const most = Math.max(...samples.map(({ bytes }) => bytes));
  const bars = Array.from({ length: Math.min(width, samples.length) }, (_, at, spans = width) => {
    const span = Math.min(spans, samples.length);
    const from = Math.floor((at * samples.length) / span);
    const to = Math.floor(((at + 1) * samples.length) / span);
    const highest = Math.max(...samples.slice(from, to).map(({ bytes }) => bytes));
    return BARS[Math.ceil((highest / most) * BARS.length) - 1] ?? BARS[0];
  });
  return bars.join("");
}
