/**
 * Counts accepted and skipped snapshots by node. A node has a label of its own while there are labels
 * left; the others are counted together. Nodes that were only skipped so far take at most half of
 * the labels and nobody else's: to be skipped costs a caller nothing.
 */
import { limits } from "../limits.js";
import type { Metrics } from "../metrics/metrics.js";

/** Not a node id: ids have no such character. */
const OTHER = "(other)";

export interface NodeSnapshotsModules {
  metrics: Pick<Metrics, "nodeSnapshots">;
  /** The monotonic clock, in milliseconds. */
  nowMs(): number;
}

export class NodeSnapshots {
  /** When each labelled node last sent a snapshot; the one that is silent longest comes first. */
  private readonly seenAtMs = new Map<string, number>();

  constructor(private readonly modules: NodeSnapshotsModules) {}

  count(nodeId: string, result: "accepted" | "skipped"): void {
    const { metrics, nowMs } = this.modules;
    if (result === "accepted" && !this.seenAtMs.has(nodeId)) this.makeRoom();
    const { nodeLabelsMax } = limits;
    const hasRoom =
      this.seenAtMs.size < (result === "accepted" ? nodeLabelsMax : nodeLabelsMax / 2);
    if (!this.seenAtMs.has(nodeId) && !hasRoom) {
      return metrics.nodeSnapshots.inc({ node: OTHER, result });
    }
    // Inserted again, so that the map stays in the order of the last snapshots.
    this.seenAtMs.delete(nodeId);
    this.seenAtMs.set(nodeId, nowMs());
    for (const each of ["accepted", "skipped"] as const) {
      metrics.nodeSnapshots.inc({ node: nodeId, result: each }, each === result ? 1 : 0);
    }
  }

  /** Ends the series of the node that is silent longest, if all labels are taken and it is long. */
  private makeRoom(): void {
    if (this.seenAtMs.size < limits.nodeLabelsMax) return;
    const { metrics, nowMs } = this.modules;
    const [oldest] = this.seenAtMs;
    if (oldest === undefined || nowMs() - oldest[1] < limits.nodeLabelMs) return;
    const [node] = oldest;
    this.seenAtMs.delete(node);
    metrics.nodeSnapshots.remove({ node, result: "accepted" });
    metrics.nodeSnapshots.remove({ node, result: "skipped" });
  }
}
