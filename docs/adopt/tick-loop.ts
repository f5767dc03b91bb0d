/**
 * An example: how a node uses the adapter. The node's timer calls `onInterval` in each interval of a
 * slot, and nothing in it waits. A node that wants its proofs at the other nodes within the slot
 * calls `takeResults` more often, for example every 100 ms.
 */
import { intervalAtMs, mayStart, slotTimesOf, TickAggregator } from "../../client/index.js";
import type {
  SlotClock,
  SnapshotInit,
  SubmittedData,
  TickAggregatorOptions,
  TickResult,
} from "../../client/index.js";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

/** What the example needs of a node. Every method returns at once. */
export interface ExampleNode {
  isAggregator(): boolean;
  hasState(slot: number): boolean;
  /** The node is about to make a block of its own. */
  isProposing(slot: number): boolean;
  /** How many votes of this slot have arrived, and how many the node expects. */
  voteCount(slot: number): { votes: number; expectedVotes: number };
  /** The votes of this slot that are in no proof yet, most wanted attestation data first. */
  pendingVotes(slot: number): SnapshotInit | null;
  /** The votes of earlier slots that are in no proof yet; null if there are none. */
  olderVotes(slot: number): SnapshotInit | null;
  /** Whether source and target are on the node's chain. */
  isOnChain(data: SubmittedData): boolean;
  /** Stores the proof, and deletes raw signature v if bit v of the participants is set. */
  applyProof(proof: Uint8Array, participants: Uint8Array): void;
  log(result: TickResult): void;
}

/** The interval of a slot in which its votes have arrived and aggregation starts. */
const AGGREGATION_INTERVAL = 2;

/** Returns what the node calls in its intervals, at votes and at reorgs, and what ends the adapter. */
export function startTickLoop(
  node: ExampleNode,
  clock: SlotClock,
  options: Omit<TickAggregatorOptions, "timeToFence">,
) {
  const aggregator = new TickAggregator({ ...options, timeToFence: clock });
  let submittedSlot = -1;
  let earlySlot = -1;

  function onInterval(slot: number, interval: number): void {
    // Take and apply first. Otherwise the node submits votes that a proof already represents.
    applyResults(slot);
    if (interval === AGGREGATION_INTERVAL) submit(slot);
  }

  /** Two thirds of the votes start the aggregation up to 600 ms early. */
  function onVotes(slot: number): void {
    const dutyAtMs = intervalAtMs(slotTimesOf(clock), slot, AGGREGATION_INTERVAL);
    const { wallNowMs = Date.now } = clock;
    if (!mayStart({ dutyAtMs, ...node.voteCount(slot) }, wallNowMs())) return;
    applyResults(slot);
    if (earlySlot >= slot) return;
    earlySlot = slot;
    submit(slot);
  }

  function applyResults(slot: number): void {
    for (const result of aggregator.takeResults(slot)) {
      const isProof =
        result.kind === "outcome" &&
        (result.outcome.status === OutcomeStatus.PROVED ||
          result.outcome.status === OutcomeStatus.PROVED_LATE);
      if (isProof) node.applyProof(result.outcome.proof, result.outcome.participants);
      else node.log(result);
    }
  }

  function submit(slot: number): void {
    if (submittedSlot >= slot) return;
    const gates = {
      isAggregator: node.isAggregator(),
      hasState: node.hasState(slot),
      isPaused: node.isProposing(slot),
    };
    const answer = aggregator.submitOrSkip(slot, gates, () => node.pendingVotes(slot));
    // What was skipped before its interval is tried again in it.
    if ("submitted" in answer) submittedSlot = slot;
    // Backlog uses the prover when this slot's votes do not, and is preempted when they need it.
    aggregator.submitOrSkip(slot, gates, () => node.olderVotes(slot), { priority: "backlog" });
  }

  /** The chain has changed: proofs for what has left it are useless. */
  function onReorg(): void {
    aggregator.cancelWhere(({ data }) => !node.isOnChain(data));
  }

  return { onInterval, onVotes, onReorg, close: () => aggregator.close({ drainMs: 2000 }) };
}

/** Options for example: the service at the Unix socket, and a second one if the first is gone. */
export function exampleOptions(): Omit<TickAggregatorOptions, "timeToFence"> {
  return {
    endpoints: ["unix:/run/lean-aggregator/nodes.sock", "127.0.0.1:9190"],
    nodeId: "example-0",
  };
}
