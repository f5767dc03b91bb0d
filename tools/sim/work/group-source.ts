/** The groups that the simulated nodes submit, and the epochs of their runs. */
import type { Admission } from "../../../server/admission/admission.js";
import { Refusal } from "../../../server/errors.js";
import type { DecodedGroup, FoldWork, MergeWork } from "../../../server/work/group.js";
import type { Submission, SubmitAnswer } from "../../../server/work/submission.js";
import type { Random } from "../random.js";
import { drawGroup, sameFold } from "./sim-group.js";
import { drawMerge, sameMerge, turnedMerge } from "./sim-merge.js";
import type { Weather } from "../weather.js";

/** Groups that several nodes may have alike. */
const RECENT_GROUPS = 6;

export class GroupSource {
  private folds: readonly DecodedGroup<FoldWork>[] = [];
  private merges: readonly DecodedGroup<MergeWork>[] = [];

  constructor(
    private readonly random: Random,
    private readonly weather: Pick<Weather, "identical" | "poison" | "merges">,
  ) {}

  /**
   * Groups of one kind. Each new, or the same work as one drawn shortly before, or the same components
   * in another order; a message once a snapshot.
   */
  draw(count: number, requestId: string): DecodedGroup[] {
    const { random, weather } = this;
    const { poison } = weather;
    if (random.chance(weather.merges)) {
      const drawn = this.drawn(count, this.merges, {
        fresh: (at) => drawMerge(random, { name: `${requestId}/${at}`, at, poison }),
        same: (merge, at) => {
          const turned = random.chance(0.2) ? turnedMerge(merge) : merge;
          return sameMerge(turned, at, random.whole(0, 3));
        },
      });
      this.merges = drawn.recent;
      return drawn.groups;
    }
    const drawn = this.drawn(count, this.folds, {
      fresh: (at) => drawGroup(random, { name: `${requestId}/${at}`, at, poison }),
      same: (fold, at) => sameFold(fold, at, random.whole(0, 3)),
    });
    this.folds = drawn.recent;
    return drawn.groups;
  }

  private drawn<Group>(
    count: number,
    recent: readonly Group[],
    draw: { fresh(at: number): Group; same(group: Group, at: number): Group },
  ): { groups: Group[]; recent: readonly Group[] } {
    const { random, weather } = this;
    const earlier = [...recent];
    const groups = Array.from({ length: count }, (_, at) => {
      if (random.chance(weather.identical)) {
        const [same] = earlier.splice(random.whole(0, earlier.length), 1);
        if (same !== undefined) return draw.same(same, at);
      }
      return draw.fresh(at);
    });
    return { groups, recent: [...earlier, ...groups].slice(-RECENT_GROUPS) };
  }
}

export class NodeEpochs {
  private readonly latest = new Map<string, bigint>();

  constructor(private readonly random: Random) {}

  /** The epoch of the node's next call: seldom of a new run, and more seldom of an earlier one. */
  draw(nodeId: string): bigint {
    const latest = this.latestOf(nodeId);
    if (latest > 1n && this.random.chance(0.03)) return latest - 1n;
    const epoch = this.random.chance(0.05) ? latest + 1n : latest;
    this.latest.set(nodeId, epoch);
    return epoch;
  }

  /**
   * Submits. Null: the call was refused, as one of an earlier run must be, and one of a new run may be
   * that follows too many others within a minute; the run before it is the latest again.
   */
  submit(admission: Admission, submission: Submission): SubmitAnswer | null {
    try {
      return admission.submit(submission, () => submission.groups);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const isStale = this.isStale(submission);
      if (isStale && error.kind === "failed_precondition") return null;
      if (isStale || error.field !== "node.node_epoch") throw error;
      this.latest.set(submission.nodeId, submission.nodeEpoch - 1n);
      return null;
    }
  }

  /** Whether a later run of the node has called. */
  isStale({ nodeId, nodeEpoch }: { nodeId: string; nodeEpoch: bigint }): boolean {
    return nodeEpoch < this.latestOf(nodeId);
  }

  /** The epoch of the node's latest run. */
  latestOf(nodeId: string): bigint {
    return this.latest.get(nodeId) ?? 1n;
  }
}
