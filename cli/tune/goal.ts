/** Which layout serves a goal best. Pure. */
import type { LayoutFigures, ShapeFigures } from "./measure.js";

/**
 * `latency`: a proof alone is ready soonest. `throughput`: most proofs a second. `balanced`: most
 * proofs a second for each second that a proof takes (Kleinrock's power).
 */
export const goals = ["latency", "throughput", "balanced"] as const;
export type Goal = (typeof goals)[number];

/** The goals' value of one shape: the layout with the largest one wins. */
const goalValues: Readonly<Record<Goal, (figures: ShapeFigures) => number>> = {
  latency: (figures) => 1 / p50Ms(figures),
  throughput: ({ proofsPerSecond }) => proofsPerSecond,
  balanced: (figures) => figures.proofsPerSecond / p50Ms(figures),
};

export function p50Ms({ tookMs }: Pick<ShapeFigures, "tookMs">): number {
  return quantile(tookMs, 0.5);
}

export function p90Ms({ tookMs }: Pick<ShapeFigures, "tookMs">): number {
  return quantile(tookMs, 0.9);
}

/**
 * Returns the best of the layouts that were measured with every shape, by the geometric mean over
 * the shapes, so that each counts alike; undefined without one. Of equal ones the first.
 */
export function bestFor(goal: Goal, layouts: readonly LayoutFigures[]): LayoutFigures | undefined {
  const whole = layouts.filter(({ problem, shapes }) => problem === undefined && shapes.length > 0);
  const value = ({ shapes }: LayoutFigures) =>
    shapes.reduce((sum, figures) => sum + Math.log(goalValues[goal](figures)), 0) / shapes.length;
  return whole.reduce<LayoutFigures | undefined>(
    (best, each) => (best === undefined || value(each) > value(best) ? each : best),
    undefined,
  );
}

/** The quantile `q`, from 0 to 1, interpolated between the two nearest values; NaN without any. */
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * q;
  const below = sorted[Math.floor(position)] ?? NaN;
  const above = sorted[Math.ceil(position)] ?? NaN;
  return below + (above - below) * (position - Math.floor(position));
}
