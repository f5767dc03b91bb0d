/**
 * The predicted durations of proofs on each lane and on the best of all lanes, remembered by shape.
 * A lane's are computed again only after its models have changed: by a proof, or by a second of age.
 * So a door with hundreds of lanes and waiting groups gets exact figures without computing them all
 * at each message.
 */
import type { CostModel, Duration } from "../../work/costs/cost-model.js";
import { durationOf, quantileOf } from "../../work/costs/cost-model.js";
import type { Costs } from "../../work/costs/costs.js";
import { compareCosts, modelOf } from "../../work/costs/costs.js";
import type { Shape } from "../../work/shape.js";

/** Shapes that are remembered; when there are more, all are forgotten. */
const SHAPES_MAX = 512;

/** The predicted durations on one lane. */
export class LaneCosts {
  private current: Costs = [];
  private readonly byShape = new Map<number, Duration>();

  /** @param changed called after each change of a model */
  constructor(private readonly changed: (costs: LaneCosts) => void) {}

  get models(): Costs {
    return this.current;
  }

  /** Takes the models of a report, which are mostly copies of the ones before. */
  set models(models: Costs) {
    const isSame = areEqual(models, this.current);
    this.current = models;
    if (isSame) return;
    this.byShape.clear();
    this.changed(this);
  }

  of(shape: Shape): Duration {
    const key = keyOf(shape);
    const known = this.byShape.get(key);
    if (known !== undefined) return known;
    const duration = durationOf(modelOf(this.current, shape), shape);
    if (this.byShape.size >= SHAPES_MAX) this.byShape.clear();
    this.byShape.set(key, duration);
    return duration;
  }
}

/** The shortest durations of one shape, by the deviation from the median, over all lanes. */
interface Best {
  /** `FleetCosts.changes` when this was last brought up to date. */
  upTo: number;
  readonly byDeviation: Map<number, { ms: number; lane: LaneCosts }>;
}

/** The predicted durations on the best of all lanes. */
export class FleetCosts {
  private readonly lanes = new Set<LaneCosts>();
  /** Lanes whose model has changed, in order; the first changes are cut off. */
  private recent: LaneCosts[] = [];
  /** Number of changes so far. */
  private changes = 0;
  private readonly byShape = new Map<number, Best>();
  /** The costs of the lane that went last: without any lane, predictions are for its return. */
  private last = new LaneCosts(() => undefined);

  /** The costs of a lane that has come. */
  add(): LaneCosts {
    const lane = new LaneCosts((changed) => this.note(changed));
    this.lanes.add(lane);
    this.byShape.clear();
    return lane;
  }

  /** Forgets the costs of a lane that has gone. */
  remove(lane: LaneCosts): void {
    if (!this.lanes.delete(lane)) return;
    this.last = lane;
    this.byShape.clear();
  }

  /**
   * A quantile of the duration of a proof of this shape on the lane where it is shortest, in ms,
   * `deviations` standard deviations above the median.
   */
  quantileMs(shape: Shape, deviations: number): number {
    return this.bestAt(shape, deviations).ms;
  }

  /** The duration of a proof of this shape on the lane where its median is shortest. */
  durationOf(shape: Shape): Duration {
    return this.bestAt(shape, 0).lane.of(shape);
  }

  private bestAt(shape: Shape, deviations: number): { ms: number; lane: LaneCosts } {
    const { byDeviation } = this.upToDate(shape);
    const known = byDeviation.get(deviations);
    if (known !== undefined) return known;
    let [best = this.last] = this.lanes;
    let bestMs = quantileOf(best.of(shape), deviations);
    for (const lane of this.lanes) {
      const ms = quantileOf(lane.of(shape), deviations);
      if (ms < bestMs) [best, bestMs] = [lane, ms];
    }
    const found = { ms: bestMs, lane: best };
    byDeviation.set(deviations, found);
    return found;
  }

  private note(lane: LaneCosts): void {
    if (!this.lanes.has(lane)) return;
    this.changes++;
    this.recent.push(lane);
    // After so many changes it is cheaper to look at all lanes again.
    if (this.recent.length > 2 * this.lanes.size) this.recent = this.recent.slice(-this.lanes.size);
  }

  /** The best of this shape, without what changes of models have made uncertain. */
  private upToDate(shape: Shape): Best {
    const key = keyOf(shape);
    let best = this.byShape.get(key);
    if (best === undefined) {
      best = { upTo: this.changes, byDeviation: new Map() };
      if (this.byShape.size >= SHAPES_MAX) this.byShape.clear();
      this.byShape.set(key, best);
      return best;
    }
    const missed = this.changes - best.upTo;
    if (missed === 0) return best;
    best.upTo = this.changes;
    if (missed > this.recent.length) best.byDeviation.clear();
    else this.compare(shape, best, new Set(this.recent.slice(-missed)));
    return best;
  }

  /** Takes in the lanes whose models have changed. */
  private compare(shape: Shape, { byDeviation }: Best, changed: ReadonlySet<LaneCosts>): void {
    for (const [deviations, { lane }] of byDeviation) {
      if (changed.has(lane)) byDeviation.delete(deviations);
    }
    for (const lane of changed) {
      if (!this.lanes.has(lane)) continue;
      const duration = lane.of(shape);
      for (const known of byDeviation) {
        const [deviations, { ms: knownMs }] = known;
        const ms = quantileOf(duration, deviations);
        if (ms < knownMs) byDeviation.set(deviations, { ms, lane });
      }
    }
  }
}

/** A shape has fewer than 4096 children, and a rate below 32. How many messages changes no duration. */
function keyOf({ raws, children, messages, logInvRate = 0 }: Shape): number {
  const isMerge = Number(messages !== undefined);
  return ((raws * 4096 + children) * 2 + isMerge) * 32 + logInvRate;
}

function areEqual(a: Costs, b: Costs): boolean {
  if (a === b) return true;
  return (
    a.length === b.length &&
    a.every((each, at) => {
      const other = b[at];
      return (
        other !== undefined && compareCosts(each, other) === 0 && isEqual(each.model, other.model)
      );
    })
  );
}

function isEqual(a: CostModel, b: CostModel): boolean {
  if (a === b) return true;
  if (a.scatter !== b.scatter) return false;
  const isSame = (x: readonly number[], y: readonly number[]) =>
    x.length === y.length && x.every((value, at) => value === y[at]);
  if (!isSame(a.logMs, b.logMs)) return false;
  return a.covariance.every((row, at) => isSame(row, b.covariance[at] ?? []));
}
