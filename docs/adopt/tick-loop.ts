/**
 * An example: how a node uses the adapter. The node's timer calls `onInterval` in each interval of a
 * slot, and nothing in it waits. A node that wants its proofs at the other nodes within the slot
 * calls `takeResults` more often, for example every 100 ms.
 */
import { TickAggregator } from "../../client/index.js";
import type { SnapshotInit, TickAggregatorOptions, TickResult } from "../../client/index.js";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

/** What the example needs of a node. Every method returns at once. */
export interface ExampleNode {
  isAggregator(): boolean;
  hasState(slot: number): boolean;
  /** The votes of this slot that are in no proof yet, most wanted attestation data first. */
  pendingVotes(slot: number): SnapshotInit;
  /** The votes of earlier slots that are in no proof yet; null if there are none. */
  olderVotes(slot: number): SnapshotInit | null;
  /** Stores the proof, and deletes raw signature v if bit v of the participants is set. */
  applyProof(proof: Uint8Array, participants: Uint8Array): void;
  log(result: TickResult): void;
}

/** The interval of a slot in which its votes have arrived and aggregation starts. */
const AGGREGATION_INTERVAL = 2;

/** Returns the function that the node's timer calls, and the one that ends the adapter. */
export function startTickLoop(node: ExampleNode, slotMs: number, options: TickAggregatorOptions) {
  const aggregator = new TickAggregator(options);

  function onInterval(slot: number, interval: number): void {
    // Take and apply first. Otherwise the node submits votes that a proof already represents.
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
    // Backlog uses the prover when this slot's votes do not, and is preempted when they need it.
    const older = node.olderVotes(slot);
    const asBacklog = { priority: "backlog", deadlineMs: 2 * slotMs } as const;
    if (older !== null) aggregator.submitOrSkip(slot, gates, () => older, asBacklog);
  }

  return { onInterval, close: () => aggregator.close({ drainMs: 2000 }) };
}

/** Options for example: the service at the Unix socket, and a second one if the first is gone. */
export function exampleOptions(genesisUnixMs: number, slotMs: number): TickAggregatorOptions {
  return {
    endpoints: ["unix:/run/lean-aggregator.sock", "127.0.0.1:9190"],
    nodeId: "example-0",
    timeToFence: { slotMs, genesisUnixMs },
  };
}
