/**
 * What the service keeps for each node: its results log, and the answers to its submissions by
 * request id. The number of nodes and the number of request ids per node are bounded.
 */
import { invalid, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { RequestIdentity, SubmitAnswer } from "../work/submission.js";
import { ResultsLog } from "./results-log.js";

export interface NodeRecord {
  log: ResultsLog;
  /** By request id, the oldest first. */
  requests: Map<string, { contentDigest: string; answer: SubmitAnswer }>;
  /** Number of open `StreamResults` calls. */
  streams: number;
}

export class Nodes {
  private readonly records = new Map<string, NodeRecord>();
  /** Highest sequence number in any forgotten log: a returning node may have a cursor up to it. */
  private forgottenSeq = 0;

  /** @param isBusy whether the node has a session in flight: such a node is not forgotten */
  constructor(
    private readonly options: { instance: string; nowMs: () => number },
    private readonly isBusy: (nodeId: string) => boolean,
  ) {}

  find(nodeId: string): NodeRecord | undefined {
    return this.records.get(nodeId);
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
    const log = new ResultsLog({
      ...this.options,
      eventsMax: limits.logEventsMax,
      afterSeq: this.forgottenSeq,
    });
    const record: NodeRecord = { log, requests: new Map(), streams: 0 };
    this.records.set(nodeId, record);
    return record;
  }

  /** Whether any node's log still has events of the session. */
  retains(sessionId: string): boolean {
    return [...this.records.values()].some(({ log }) => log.ofSession(sessionId).length > 0);
  }

  /**
   * The earlier answer to this request id; undefined for a new or an empty id. Throws a `Refusal`
   * if the earlier request had other content.
   */
  remembered({ nodeId, requestId, contentDigest }: RequestIdentity): SubmitAnswer | undefined {
    if (requestId === "") return undefined;
    const earlier = this.records.get(nodeId)?.requests.get(requestId);
    if (earlier !== undefined && earlier.contentDigest !== contentDigest) {
      throw invalid("request_id", `${requestId} was used for a request with other content`);
    }
    return earlier?.answer;
  }

  remember({ nodeId, requestId, contentDigest }: RequestIdentity, answer: SubmitAnswer): void {
    if (requestId === "") return;
    const { requests } = this.get(nodeId);
    requests.set(requestId, { contentDigest, answer });
    const oldest = requests.keys().next();
    if (requests.size > limits.requestIdsMax && !oldest.done) requests.delete(oldest.value);
  }

  /** Erases proofs past their fence, and drops events kept longer than `limits.retentionMs`. */
  expire(): void {
    for (const { log } of this.records.values()) log.expire(limits.retentionMs);
  }

  private forgetIdle(): void {
    for (const [nodeId, { log, streams }] of this.records) {
      if (log.size > 0 || streams > 0 || this.isBusy(nodeId)) continue;
      this.forgottenSeq = Math.max(this.forgottenSeq, log.lastSeq);
      this.records.delete(nodeId);
    }
  }
}
