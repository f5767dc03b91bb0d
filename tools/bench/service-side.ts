/** The service's side of a comparison: submits as a node does, and reads the outcome from its stream. */
import type { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { OutcomeReason, OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type {
  Outcome,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SnapshotInit } from "../harness/vectors.js";
import type { Took } from "./overhead/pairs.js";

const NODE = { nodeId: "bench", nodeEpoch: 1n };
const BUDGETS = { deadlineMs: 60_000, fenceMs: 120_000 };
/** Events that may come between those that a sample waits for. */
const BESIDE: ReadonlySet<string> = new Set(["heartbeat", "sending", "status"]);

const endingOf = ({ status, reason, detail }: Outcome) =>
  `${OutcomeStatus[status]} ${OutcomeReason[reason]} ${detail}`;

export class ServiceSide {
  private constructor(
    private readonly client: AggregatorClient,
    private readonly events: AsyncGenerator<StreamResultsResponse, void>,
    private readonly abort: AbortController,
  ) {}

  static async open(client: AggregatorClient): Promise<ServiceSide> {
    const abort = new AbortController();
    const side = new ServiceSide(client, client.streamResults({ node: NODE }, abort.signal), abort);
    await side.next("opened");
    return side;
  }

  /** Each call submits the snapshot, of one group, and waits for its proof. */
  side(snapshot: SnapshotInit): () => Promise<Took> {
    const request = { node: NODE, snapshot, ...BUDGETS };
    return async () => {
      const startedMs = performance.now();
      const { result } = await this.client.submitSnapshot(request);
      if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
      const outcome = await this.next("outcome");
      const totalMs = performance.now() - startedMs;
      if (outcome.status !== OutcomeStatus.PROVED || outcome.proof.length === 0)
        throw new Error(`the service did not prove: ${endingOf(outcome)}`);
      await this.next("summary");
      return { totalMs, proveMs: outcome.proveMs };
    };
  }

  close(): void {
    this.abort.abort();
  }

  /** The next event but for those that only keep a stream alive or say what the service can do. */
  private async next<C extends "opened" | "outcome" | "summary">(expected: C) {
    for (;;) {
      const { value } = await this.events.next();
      const event = value?.event;
      if (event?.case !== undefined && BESIDE.has(event.case)) continue;
      if (event?.case !== expected)
        throw new Error(`the stream gave ${event?.case}, not ${expected}`);
      return event.value as Extract<StreamResultsResponse["event"], { case: C }>["value"];
    }
  }
}
