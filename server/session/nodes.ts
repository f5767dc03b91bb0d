/** The records of the nodes. Their number is bounded: an idle node is forgotten for a new one. */
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import { NodeRecord } from "./node-record.js";

const bounds = { requestsMax: limits.requestIdsMax, eventsMax: limits.nodeEventsMax };

export class Nodes {
  private readonly records = new Map<string, NodeRecord>();

  /** @param nowMs the service's monotonic clock, in milliseconds */
  constructor(private readonly nowMs: () => number) {}

  find(nodeId: string): NodeRecord | undefined {
    return this.records.get(nodeId);
  }

  ids(): string[] {
    return [...this.records.keys()];
  }

  all(): NodeRecord[] {
    return [...this.records.values()];
  }

  /**
   * The record of a node, made on first use, by a submission or a stream. Throws a `Refusal` at the
   * maximum number of nodes when none of them can be forgotten.
   */
  get(nodeId: string): NodeRecord {
    const known = this.records.get(nodeId);
    if (known !== undefined) return known;
    if (this.records.size >= limits.nodesMax) this.forgetIdle();
    if (this.records.size >= limits.nodesMax) {
      const detail = `${limits.nodesMax} nodes are known already`;
      throw new Refusal("resource_exhausted", "node.node_id", detail);
    }
    const record = new NodeRecord(bounds, this.nowMs);
    this.records.set(nodeId, record);
    return record;
  }

  /** Erases proofs past their fence, and forgets requests kept longer than `limits.retentionMs`. */
  expire(): void {
    for (const record of this.records.values()) record.expire();
  }

  private forgetIdle(): void {
    for (const [nodeId, { isIdle }] of this.records) {
      if (isIdle) this.records.delete(nodeId);
    }
  }
}
