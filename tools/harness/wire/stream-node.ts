/**
 * A node with a connection of its own that records all results it receives. It opens a broken stream
 * anew, naming what it awaits, repeats a call that got no answer, and counts how often it does either.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { AggregatorClient, AggregatorError } from "../../../client/index.js";
import { liveResults } from "../../../client/rpc/live-results.js";
import type {
  Outcome,
  StreamResultsResponse,
  SubmitSnapshotRequestSchema,
  SubmitSnapshotResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Ledger } from "../ledger.js";

type Request = Exclude<MessageInitShape<typeof SubmitSnapshotRequestSchema>, { $typeName: string }>;

const REPEAT_MS = 100;
/** Requests that a stream may name. */
const AWAITED_MAX = 64;
/** How often a call is repeated while the service is unavailable, before its error is thrown. */
const REPEATS_MAX = 100;

export interface ToldOutcome {
  outcome: Outcome;
  /** When the outcome arrived, by `performance.now`. */
  atMs: number;
}

export class StreamNode {
  readonly ledger = new Ledger();
  readonly client: AggregatorClient;
  readonly node: { nodeId: string; nodeEpoch: bigint };
  /** True while its stream is up. */
  isStreaming = false;
  /** Called with each outcome when it arrives. */
  onOutcome: (outcome: Outcome) => void = () => {};
  /** Number of streams that broke, and of calls that were repeated. */
  breaks = 0;
  private requests = 0;
  /** By request id, for requests that have not ended: the groups whose outcomes have come. */
  private readonly awaited = new Map<string, number[]>();
  private onOpened = () => {};
  private readonly stop = new AbortController();
  private readonly told = new Map<string, ToldOutcome[]>();
  private readonly waiting = new Map<string, () => void>();
  private readonly ended = new Set<string>();

  private constructor(address: string, nodeId: string) {
    this.client = new AggregatorClient({ address });
    this.node = { nodeId, nodeEpoch: 1n };
  }

  /** Makes a node, and resolves once its stream is up. */
  static async open(address: string, nodeId: string): Promise<StreamNode> {
    const node = new StreamNode(address, nodeId);
    await new Promise<void>((resolve) => {
      node.onOpened = resolve;
      void node.read(); // never rejects
    });
    return node;
  }

  /** Submits a snapshot with a new request id, and records the answer in the ledger. */
  async submit(request: Omit<Request, "node" | "requestId">): Promise<SubmitSnapshotResponse> {
    const requestId = String(++this.requests);
    const whole = { ...request, node: this.node, requestId };
    this.awaited.set(requestId, []);
    const answer = await this.reach(() => this.client.submitSnapshot(whole));
    if (answer.result.case === "accepted") {
      this.ledger.accepted(requestId, request.snapshot?.groups?.length ?? 0);
    } else {
      this.awaited.delete(requestId);
    }
    return answer;
  }

  /**
   * Resolves, once the session's summary has arrived, with its outcomes in the order of arrival.
   * Works once for each session: the node then forgets the outcomes.
   */
  async outcomesOf(requestId: string): Promise<ToldOutcome[]> {
    if (!this.ended.has(requestId))
      await new Promise<void>((resolve) => this.waiting.set(requestId, resolve));
    const told = this.told.get(requestId) ?? [];
    this.told.delete(requestId);
    this.ended.delete(requestId);
    return told;
  }

  /** Asks `GetSession` for the session, and settles it in the ledger. */
  async settle(requestId: string): Promise<void> {
    const request = { node: this.node, requestId };
    const { session } = await this.reach(() => this.client.getSession(request));
    this.ledger.settle(requestId, session);
  }

  /** Number of snapshots submitted so far: the request id of the last one. */
  get submissions(): number {
    return this.requests;
  }

  close(): void {
    this.stop.abort();
    this.client.close();
  }

  private async read(): Promise<void> {
    const { client, node } = this;
    const request = () => ({
      node,
      awaited: [...this.awaited]
        .slice(-AWAITED_MAX)
        .map(([requestId, receivedGroups]) => ({ requestId, receivedGroups })),
    });
    for await (const event of liveResults(client, request, this.stop.signal)) {
      if (event.kind === "broken") {
        this.isStreaming = false;
        this.breaks++;
      } else if (event.response.event.case === "opened") {
        this.isStreaming = true;
        this.onOpened();
      } else {
        this.take(event.response);
      }
    }
  }

  private async reach<T>(call: () => Promise<T>): Promise<T> {
    for (let repeats = 0; ; repeats++) {
      try {
        return await call();
      } catch (error) {
        const isGone = AggregatorError.from(error).kind === "unavailable";
        if (!isGone || repeats === REPEATS_MAX) throw error;
        this.breaks++;
        await pause(REPEAT_MS);
      }
    }
  }

  private take(response: StreamResultsResponse): void {
    const { event } = response;
    if (event.case === "outcome") {
      const { requestId, groupIndex } = event.value;
      this.awaited.get(requestId)?.push(groupIndex);
      const told = this.told.get(requestId) ?? [];
      told.push({ outcome: event.value, atMs: performance.now() });
      this.told.set(requestId, told);
      this.onOutcome(event.value);
    }
    const requestId = this.ledger.told(response);
    if (requestId === undefined) return;
    this.awaited.delete(requestId);
    this.ended.add(requestId);
    this.waiting.get(requestId)?.();
    this.waiting.delete(requestId);
  }
}
