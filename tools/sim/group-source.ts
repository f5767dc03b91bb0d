/** The groups that the simulated nodes submit, and the epochs of their runs. */
import type { Admission } from "../../server/admission/admission.js";
import { Refusal } from "../../server/errors.js";
import type { DecodedGroup } from "../../server/work/group.js";
import type { Submission, SubmitAnswer } from "../../server/work/submission.js";
import type { Random } from "./random.js";
import { drawGroup, sameWork } from "./sim-group.js";
import type { Weather } from "./weather.js";

/** Groups that several nodes may have alike. */
const RECENT_GROUPS = 6;

export class GroupSource {
  private recent: readonly DecodedGroup[] = [];

  constructor(
    private readonly random: Random,
    private readonly weather: Pick<Weather, "identical" | "poison">,
  ) {}

  /** Each new, or the same work as one drawn shortly before; a message once a snapshot. */
  draw(count: number, requestId: string): DecodedGroup[] {
    const { random, weather } = this;
    const earlier = [...this.recent];
    const groups = Array.from({ length: count }, (_, at) => {
      if (random.chance(weather.identical)) {
        const [same] = earlier.splice(random.whole(0, earlier.length), 1);
        if (same !== undefined) return sameWork(same, at, random.whole(0, 3));
      }
      return drawGroup(random, { name: `${requestId}/${at}`, at, poison: weather.poison });
    });
    this.recent = [...earlier, ...groups].slice(-RECENT_GROUPS);
    return groups;
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
