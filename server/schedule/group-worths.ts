/**
 * What waiting groups are worth: of each the part of the largest expected worth that the best of all
 * lanes could start. Their inputs are not verified yet, so a bad one counts as good.
 */
import type { Duration } from "../work/cost-model.js";
import type { DecodedGroup } from "../work/group.js";
import type { Best } from "../work/parts.js";
import { GroupParts, rotationOf } from "../work/parts.js";
import type { Shape } from "../work/shape.js";
import { atRate } from "../work/shape.js";
import type { Submission } from "../work/submission.js";
import type { Horizon } from "../work/worth.js";
import { jointSteps, prospectOf, worthlessFromMs } from "../work/worth.js";

/** The limits of a snapshot that decide what its groups are worth. */
type Limits = Pick<Submission, "steps" | "fenceAtMs" | "deadlineAtMs" | "mayShed" | "slot">;

export class GroupWorths {
  private readonly parts = new WeakMap<DecodedGroup, GroupParts>();
  private readonly horizons = new WeakMap<Limits, Horizon>();

  /** @param durationOf the predicted duration of a proof on the lane where its median is shortest */
  constructor(private readonly durationOf: (shape: Shape) => Duration) {}

  /** The part of the group that is worth most if it starts at `startAtMs`; undefined: none may. */
  best(limits: Limits, group: DecodedGroup, startAtMs: number): Best | undefined {
    const { logInvRate } = group.work;
    const horizon = this.horizonOf(limits);
    return this.partsOf(limits, group).best({
      mayShed: limits.mayShed,
      prospectOf: (shape) =>
        prospectOf(horizon, startAtMs, this.durationOf(atRate(shape, logInvRate))),
    });
  }

  /**
   * Expected worth of the group's best part for each millisecond that it is expected to take of the
   * time up to `untilMs`, after which no other group could start; 0 when no part may start.
   */
  perMs(limits: Limits, group: DecodedGroup, startAtMs: number, untilMs: number): number {
    const best = this.best(limits, group, startAtMs);
    if (best === undefined) return 0;
    const { medianMs } = this.durationOf(atRate(best.shape, group.work.logInvRate));
    const leftMs = Math.min(worthlessFromMs(this.horizonOf(limits)), untilMs) - startAtMs;
    return best.worth / Math.max(1, Math.min(medianMs, leftMs));
  }

  private horizonOf(limits: Limits): Horizon {
    const known = this.horizons.get(limits);
    if (known !== undefined) return known;
    // Weights as shares, to compare requests of which each has a scale of its own.
    const horizon = { steps: jointSteps([limits]), fenceAtMs: limits.fenceAtMs };
    this.horizons.set(limits, horizon);
    return horizon;
  }

  private partsOf({ slot }: Limits, group: DecodedGroup): GroupParts {
    const known = this.parts.get(group);
    if (known !== undefined) return known;
    const { raws, children } = group.work;
    const parts = new GroupParts({
      raws: raws.validators,
      children: children.map(({ validators }) => validators),
      rotation: rotationOf(slot),
    });
    this.parts.set(group, parts);
    return parts;
  }
}
