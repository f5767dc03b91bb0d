/**
 * The predicted durations of groups on the lanes of one dispatcher: of one job on the best lane, and of a
 * tree of jobs over the lanes as they come free. Knows what one job may have on every lane.
 */
import type { Duration } from "../../work/costs/cost-model.js";
import { quantileOf } from "../../work/costs/cost-model.js";
import type { FoldLimits } from "../../work/fold-limits.js";
import { fitsOneJob, foldLimitsOf, lowerLimits, noFoldLimits } from "../../work/fold-limits.js";
import type { ProverDescription } from "../../work/prover-description.js";
import type { Shape } from "../../work/shape.js";
import { jobsOf, treeDuration } from "../../work/costs/tree-time.js";
import { FleetCosts } from "./fleet-costs.js";

export interface DurationsModules {
  /** In how many milliseconds each lane that is up takes a job, by its median; negative: overdue. */
  freeAfterMs(): readonly number[];
}

export class Durations {
  readonly costs = new FleetCosts();
  /** The lowest of all lanes, and of the operator. */
  foldLimits: FoldLimits;
  private readonly own: FoldLimits;
  private readonly ofLanes = new Map<string, FoldLimits>();

  /** @param leafRawsMax the operator's limit of the raw signatures of a job; 0: none */
  constructor(
    leafRawsMax: number,
    private readonly modules: DurationsModules,
  ) {
    const rawsMax = leafRawsMax || Infinity;
    this.own = { ...noFoldLimits, rawsMax, rawsBesideMax: rawsMax };
    this.foldLimits = this.own;
  }

  /** Takes what the prover of the lane of this device may do. */
  described(deviceId: string, description: ProverDescription): void {
    const theirs = foldLimitsOf(description);
    const known = this.ofLanes.get(deviceId);
    if (known !== undefined && areEqual(known, theirs)) return;
    this.ofLanes.set(deviceId, theirs);
    this.compare();
  }

  gone(deviceId: string): void {
    if (this.ofLanes.delete(deviceId)) this.compare();
  }

  /** The duration of a proof of this shape where its median is shortest; of a tree from its first job on. */
  durationOf(shape: Shape): Duration {
    if (fitsOneJob(this.foldLimits, shape)) return this.costs.durationOf(shape);
    const free = this.modules.freeAfterMs().filter((ms) => ms < Infinity);
    const first = Math.min(...free);
    return treeDuration(
      {
        limits: this.foldLimits,
        freeAfterMs:
          free.length === 0 ? [0] : free.map((ms) => Math.max(0, ms - Math.max(0, first))),
        durationOf: (job) => this.costs.durationOf(job),
      },
      shape,
    );
  }

  /** A quantile of the duration in ms, `deviations` standard deviations above the median. */
  quantileMs(shape: Shape, deviations: number): number {
    if (fitsOneJob(this.foldLimits, shape)) return this.costs.quantileMs(shape, deviations);
    return quantileOf(this.durationOf(shape), deviations);
  }

  /** Median duration of a job of a group of this shape, in ms: of a tree, the mean over its jobs. */
  jobMs(shape: Shape): number {
    const jobs = this.jobsOf(shape);
    return jobs.reduce((sum, job) => sum + this.quantileMs(job, 0), 0) / jobs.length;
  }

  /** The jobs by which a group of this shape is proved: one, or those of its tree. */
  jobsOf(shape: Shape): Shape[] {
    return fitsOneJob(this.foldLimits, shape) ? [shape] : jobsOf(this.foldLimits, shape);
  }

  private compare(): void {
    this.foldLimits = [...this.ofLanes.values()].reduce(lowerLimits, this.own);
  }
}

function areEqual(a: FoldLimits, b: FoldLimits): boolean {
  return (
    a.rawsMax === b.rawsMax &&
    a.rawsBesideMax === b.rawsBesideMax &&
    a.childrenMax === b.childrenMax &&
    a.arities === b.arities
  );
}
