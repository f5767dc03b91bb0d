/**
 * What waiting groups are worth: of each the part of the largest expected worth that the best of all
 * lanes could start, and the whole of a merge. Their inputs are not verified yet, so a bad one counts as good.
 */
import type { Duration } from "../../work/costs/cost-model.js";
import type { DecodedGroup } from "../../work/group.js";
import type { FoldWork } from "../../work/group.js";
import { worthOfMerge } from "../../work/merge-worth.js";
import { GroupParts, rotationOf } from "../../work/parts.js";
import type { Part } from "../../work/parts.js";
import type { Shape } from "../../work/shape.js";
import { atRate, shapeOf } from "../../work/shape.js";
import type { Envelope } from "../../work/submission.js";
import type { Best, Horizon } from "../../work/worth.js";
import { jointSteps, prospectOf, worthlessFromMs } from "../../work/worth.js";

/** What is expected of a group that waits. */
export interface GroupOutlook {
  worthPerMs: number;
  /** Of the part that would start now; of the whole if none may. */
  shape: Shape;
}

/** The limits of a snapshot that decide what its groups are worth. */
type Limits = Pick<Envelope, "steps" | "fenceAtMs" | "mayShed" | "slot">;

export class GroupWorths {
  private readonly parts = new WeakMap<DecodedGroup, GroupParts>();
  private readonly horizons = new WeakMap<Limits, Horizon>();

  /** @param durationOf the predicted duration of a proof on the lane where its median is shortest */
  constructor(private readonly durationOf: (shape: Shape) => Duration) {}

  /** The part of the group that is worth most if it starts at `startAtMs`; undefined: none may. */
  best(limits: Limits, group: DecodedGroup, startAtMs: number): Best | undefined {
    const { work } = group;
    const horizon = this.horizonOf(limits);
    const prospectAt = (shape: Shape) =>
      prospectOf(horizon, startAtMs, this.durationOf(atRate(shape, work.logInvRate)));
    if (work.kind === "merge") return worthOfMerge(work, { prospectOf: prospectAt });
    const { mayShed } = limits;
    return this.partsOf(limits, group, work).best({ mayShed, prospectOf: prospectAt });
  }

  /** As `best` of a fold, the inputs of the part. */
  part(limits: Limits, group: DecodedGroup, work: FoldWork, startAtMs: number): Part | undefined {
    const best = this.best(limits, group, startAtMs);
    return best && this.partsOf(limits, group, work).partOf(best.shape);
  }

  /** Whether, if inputs may be shed, a part of the group is worth more than the whole. */
  isCut(limits: Limits, group: DecodedGroup, startAtMs: number): boolean {
    if (group.work.kind === "merge") return false;
    const best = this.best({ ...limits, mayShed: true }, group, startAtMs);
    const { raws, children } = this.partsOf(limits, group, group.work).wholeShape;
    return best?.shape.raws !== raws || best.shape.children !== children;
  }

  /**
   * The best part as `best` returns it, and its expected worth for each millisecond that it takes of
   * the time up to `untilMs`, after which no other group could start. A group of which no part may
   * start is worth 0.
   */
  outlook(limits: Limits, group: DecodedGroup, startAtMs: number, untilMs: number): GroupOutlook {
    const best = this.best(limits, group, startAtMs);
    if (best === undefined) return { worthPerMs: 0, shape: shapeOf(group.work) };
    const shape = atRate(best.shape, group.work.logInvRate);
    const { medianMs } = this.durationOf(shape);
    const leftMs = Math.min(worthlessFromMs(this.horizonOf(limits)), untilMs) - startAtMs;
    return { worthPerMs: best.worth / Math.max(1, Math.min(medianMs, leftMs)), shape };
  }

  private horizonOf(limits: Limits): Horizon {
    const known = this.horizons.get(limits);
    if (known !== undefined) return known;
    // Weights as shares, to compare requests of which each has a scale of its own.
    const horizon = { steps: jointSteps([limits]), fenceAtMs: limits.fenceAtMs };
    this.horizons.set(limits, horizon);
    return horizon;
  }

  private partsOf({ slot }: Limits, group: DecodedGroup, work: FoldWork): GroupParts {
    const known = this.parts.get(group);
    if (known !== undefined) return known;
    const { raws, children } = work;
    const parts = new GroupParts({
      raws: raws.validators,
      children: children.map(({ validators }) => validators),
      rotation: rotationOf(slot),
    });
    this.parts.set(group, parts);
    return parts;
  }
}
