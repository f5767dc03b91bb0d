/** The service's side of a comparison: a node submits, and takes the outcome from its stream. */
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SnapshotInit } from "../../harness/vectors.js";
import type { StreamNode } from "../../harness/wire/stream-node.js";
import type { Took } from "./pairs.js";

const BUDGETS = { deadlineMs: 60_000, fenceMs: 120_000 };

/** Each call submits the snapshot, of one group, and waits for its proof. */
export function serviceSide(node: StreamNode, snapshot: SnapshotInit): () => Promise<Took> {
  return async () => {
    const startedMs = performance.now();
    const { result } = await node.submit({ snapshot, ...BUDGETS });
    if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
    const [received] = await node.outcomesOf(result.value.requestId);
    if (received === undefined) throw new Error("the session ended without an outcome");
    const { status, reason, detail, proof, proveMs } = received.outcome;
    if (status !== OutcomeStatus.PROVED || proof.length === 0) {
      const ending = `${OutcomeStatus[status]} ${OutcomeReason[reason]} ${detail}`;
      throw new Error(`the service did not prove: ${ending}`);
    }
    return { totalMs: received.atMs - startedMs, proveMs };
  };
}
