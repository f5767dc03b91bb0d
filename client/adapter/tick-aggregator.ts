/**
 * The adapter: submits frozen snapshots from the node's tick, and returns the results when the node
 * asks. No method for the tick blocks, awaits or throws. The rules are in `rules.ts`;
 * `AdapterShell` carries out their effects.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { Registry } from "prom-client";
import type { FlatEncoded } from "./flat-encoder.js";
import { BusyPolicy, Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { resumeResults } from "../rpc/result-stream.js";
import { connectEndpoints, type Endpoint } from "./endpoints.js";
import type { AdapterPriority, AdapterSkipReason, Gates, Submission } from "./events.js";
import { createAdapterMetrics, type AdapterMetrics } from "./metrics.js";
import type {
  SnapshotInit,
  SubmitAnswer,
  SubmitOptions,
  TickAggregatorOptions,
  TickResult,
} from "./options.js";
import { encodeRequest } from "./request-encoding.js";
import { AdapterShell } from "./shell.js";
import { timeToFenceMs } from "./slot-clock.js";
import { sendSnapshot } from "./snapshot-sender.js";
import { eventOf } from "./wire-events.js";

const DEADLINE_MS_DEFAULT = 750;
const DRAIN_MS_DEFAULT = 2000;

const PRIORITIES: Readonly<Record<AdapterPriority, Priority>> = {
  proposal: Priority.PROPOSAL,
  aggregation: Priority.AGGREGATION,
  backlog: Priority.BACKLOG,
};

/**
 * The adapter, one for each node. In each tick, take the results, apply them, then submit:
 * otherwise the node submits votes that are already in a proof. An adapter keeps the process alive
 * until `close()`.
 */
export class TickAggregator {
  private readonly node: { nodeId: string; nodeEpoch: bigint };
  private readonly endpoints: readonly [Endpoint, ...Endpoint[]];
  private readonly metrics: AdapterMetrics;
  private readonly nowMs: () => number;
  private readonly shell: AdapterShell;
  private readonly stop = new AbortController();
  private readonly streams: Promise<void>[];
  private closing: Promise<void> | null = null;

  /**
   * Starts to connect at once. Throws `TypeError` when no endpoint is given or one cannot be used,
   * and `Error` when the registry has these metrics already.
   */
  constructor(private readonly options: TickAggregatorOptions) {
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.metrics = createAdapterMetrics(options.registry ?? new Registry());
    const nodeEpoch = options.nodeEpoch ?? randomBytes(8).readBigUInt64LE();
    this.node = { nodeId: options.nodeId, nodeEpoch };
    this.endpoints = connectEndpoints(options);
    const { node, endpoints, metrics, nowMs } = this;
    this.shell = new AdapterShell(options, { node, endpoints, metrics, nowMs });
    // Every call in flight adds a listener. The time limits of calls bound how many there are.
    setMaxListeners(0, this.stop.signal);
    this.streams = this.endpoints.map((endpoint) => this.readFrom(endpoint));
  }

  /**
   * Submits a snapshot, or returns why not. Calls `snapshot` only when it is to be submitted, and
   * copies its result before returning: about 1 ms for 1 MB. The service's answer comes later: it
   * shows in `takeResults` and in the skip metric.
   */
  submitOrSkip(
    slot: number,
    gates: Gates,
    snapshot: () => SnapshotInit,
    options: SubmitOptions = {},
  ): SubmitAnswer {
    const startMs = this.nowMs();
    try {
      return this.submitOrSkipAt(startMs, slot, gates, snapshot, options);
    } finally {
      this.metrics.submitSeconds.observe(Math.max(0, this.nowMs() - startMs) / 1000);
    }
  }

  /**
   * Returns each ready result once, in the order in which groups ended. A proof past its fence is
   * dropped: no result comes for its group.
   */
  takeResults(currentSlot: number): TickResult[] {
    this.shell.dispatch({ kind: "take", slot: currentSlot });
    return this.shell.drainResults();
  }

  /**
   * Stops submitting, waits up to `drainMs` milliseconds (default 2000) for sessions in flight,
   * then cancels the rest, which takes at most 500 ms more. Results can still be taken afterwards.
   * Idempotent; never rejects.
   */
  close({ drainMs = DRAIN_MS_DEFAULT }: { drainMs?: number } = {}): Promise<void> {
    this.closing ??= this.closeAfter(drainMs);
    return this.closing;
  }

  private submitOrSkipAt(
    startMs: number,
    slot: number,
    gates: Gates,
    snapshot: () => SnapshotInit,
    options: SubmitOptions,
  ): SubmitAnswer {
    const { priority = "aggregation", mayReplace = false } = options;
    const { deadlineMs = this.options.deadlineMs ?? DEADLINE_MS_DEFAULT } = options;
    const effects = this.shell.dispatch({ kind: "ask", slot, gates, priority, mayReplace });
    for (const effect of effects) if (effect.kind === "skip") return { skipped: effect.reason };
    let snapshotInit: SnapshotInit;
    let fenceMs: number;
    try {
      snapshotInit = snapshot();
      fenceMs = options.fenceMs ?? timeToFenceMs(this.options.timeToFence, slot);
    } catch (error) {
      return this.skip("snapshot_threw", error);
    }
    const requestId = randomUUID();
    let request: FlatEncoded;
    try {
      if (!Number.isFinite(fenceMs))
        throw new TypeError(`invalid time to the fence ${fenceMs}: return finite milliseconds`);
      if (Number.isNaN(deadlineMs)) throw new TypeError("deadlineMs is NaN: give milliseconds");
      request = this.encode(requestId, slot, snapshotInit, options);
    } catch (error) {
      return this.skip("invalid", error);
    }
    const submission: Submission = {
      requestId,
      priority,
      slot,
      groups: snapshotInit.groups?.length ?? 0,
      fenceAtMs: startMs + fenceMs,
      fenceSlot: options.fenceMs === undefined ? slot + 2 : null,
    };
    this.shell.dispatch({ kind: "submitted", submission });
    // After the tick, as grpc-js copies the bytes once more. `send` never rejects.
    setImmediate(() => void this.send(submission, request, startMs + deadlineMs));
    return { submitted: true, requestId };
  }

  /** Encodes in the tick: another thread would save nothing, as it would need the same copy. */
  private encode(
    requestId: string,
    slot: number,
    snapshot: SnapshotInit,
    { priority = "aggregation", mayReplace = false, partialPolicy }: SubmitOptions,
  ): FlatEncoded {
    return encodeRequest({
      node: this.node,
      snapshot: { ...snapshot, slot: BigInt(slot) },
      ...(this.options.proofSystem && { proofSystem: this.options.proofSystem }),
      requestId,
      priority: PRIORITIES[priority],
      busyPolicy: mayReplace ? BusyPolicy.REPLACE : BusyPolicy.SKIP,
      ...(partialPolicy !== undefined && { partialPolicy }),
    });
  }

  /** Sends the submission until it is accepted or given up. Never rejects. */
  private async send(
    submission: Submission,
    request: FlatEncoded,
    deadlineAtMs: number,
  ): Promise<void> {
    const { requestId, fenceAtMs } = submission;
    for (;;) {
      const answer = await sendSnapshot({
        request,
        deadlineAtMs: Math.min(deadlineAtMs, fenceAtMs),
        fenceAtMs,
        nowMs: this.nowMs,
        target: () => this.shell.target(),
        signal: this.stop.signal,
      });
      if (answer.kind === "accepted") {
        const { sessionId, fenceMs } = answer.accepted;
        const endpoint = answer.endpoint.address;
        this.shell.dispatch({ kind: "accepted", requestId, endpoint, sessionId, fenceMs });
        return;
      }
      const { reason, error } = answer;
      const endpoint = answer.endpoint?.address ?? null;
      if (error !== null) this.shell.report(error);
      const effects = this.shell.dispatch({ kind: "refused", requestId, endpoint, reason });
      if (!effects.some((effect) => effect.kind === "go")) return;
    }
  }

  /** Passes the endpoint's streamed events to the state machine, until `close()`. Never rejects. */
  private async readFrom({ address: endpoint, client }: Endpoint): Promise<void> {
    for await (const event of resumeResults(client, { node: this.node }, this.stop.signal)) {
      if (event.kind === "broken") {
        this.shell.dispatch({ kind: "disconnected", endpoint });
        this.shell.report(event.error);
      } else {
        const wireEvent = eventOf(endpoint, event.response);
        if (wireEvent !== null) this.shell.dispatch(wireEvent);
      }
    }
  }

  private skip(reason: AdapterSkipReason, error: unknown): SubmitAnswer {
    this.shell.report(error);
    this.metrics.skips.inc({ reason });
    return { skipped: reason };
  }

  private async closeAfter(drainMs: number): Promise<void> {
    this.shell.dispatch({ kind: "closing" });
    await this.shell.untilIdle(drainMs);
    this.stop.abort();
    await this.shell.cancelAll();
    this.shell.dispatch({ kind: "closed" });
    for (const { client } of this.endpoints) client.close();
    await Promise.all(this.streams);
  }
}
