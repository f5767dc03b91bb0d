/**
 * How a node uses the adapter: one call of `onInterval` for each interval of a slot, and nothing
 * in it waits. A node that wants its proofs with the other nodes within the slot calls `takeResults`
 * more often, every 100 ms for example. An example to read; nothing imports it.
 */
import { OutcomeStatus } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { TickAggregator, type SnapshotInit, type TickResult } from "./index.js";

/** The parts of a node that the example needs. */
export interface ExampleNode {
  isAggregator(): boolean;
  hasState(slot: number): boolean;
  /** This slot's votes that no proof represents yet, the best attestation data first. */
  pendingVotes(slot: number): SnapshotInit;
  /** Those of earlier slots: after a partition there are many. Null when there are none. */
  olderVotes(slot: number): SnapshotInit | null;
  /** Checks and stores the proof, then deletes raw v if bit v of the participants is set. */
  applyProof(proof: Uint8Array, participants: Uint8Array): void;
  log(result: TickResult): void;
}

/** Interval of a slot at which votes are in and folding starts. */
const AGGREGATION_INTERVAL = 2;

/** Returns the function that the node's timer calls, and what to call at its end. */
export function startExample(node: ExampleNode, genesisUnixMs: number, slotMs: number) {
  const aggregator = new TickAggregator({
    endpoints: ["unix:/run/lean-aggregator.sock", "127.0.0.1:9190"],
    nodeId: "example-0",
    timeToFence: { slotMs, genesisUnixMs },
  });

  function onInterval(slot: number, interval: number): void {
    // Take and apply first, or votes that a proof represents would be submitted again.
    for (const result of aggregator.takeResults(slot)) {
      const isProof =
        result.kind === "outcome" &&
        (result.outcome.status === OutcomeStatus.PROVED ||
          result.outcome.status === OutcomeStatus.PROVED_LATE);
      if (isProof) node.applyProof(result.outcome.proof, result.outcome.participants);
      else node.log(result);
    }
    if (interval !== AGGREGATION_INTERVAL) return;
    const gates = { isAggregator: node.isAggregator(), hasState: node.hasState(slot) };
    aggregator.submitOrSkip(slot, gates, () => node.pendingVotes(slot));
    // Makes way where the above would miss: proved in what that leaves of the prover.
    const older = node.olderVotes(slot);
    const options = { priority: "backlog", deadlineMs: 2 * slotMs } as const;
    if (older !== null) aggregator.submitOrSkip(slot, gates, () => older, options);
  }

  return { onInterval, close: () => aggregator.close({ drainMs: 2000 }) };
}
