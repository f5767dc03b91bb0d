/**
 * What a node holds: hands frozen snapshots to the service from the node's tick and gives back the
 * results where the node asks. No call from the tick blocks, awaits or throws. The rules are
 * `adapter-state.ts`; this is the shell that runs their effects.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { Registry } from "prom-client";
import { BusyPolicy, Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterPriority, AdapterSkipReason, Gates, Submission } from "./events.js";
import { createAdapterMetrics, type AdapterMetrics } from "./metrics.js";
import { AdapterShell } from "./shell.js";
import { connectEndpoints, type Endpoint } from "./endpoints.js";
import type { FlatEncoded } from "../../proto/flat-encoder.js";
import { encodeRequest } from "./request-encoding.js";
import { resumeResults } from "../rpc/result-stream.js";
import { timeToFenceMs } from "./slot-clock.js";
import { sendSnapshot } from "./snapshot-sender.js";
import type {
  SnapshotInit,
  SubmitAnswer,
  SubmitOptions,
  TickAggregatorOptions,
  TickResult,
} from "./options.js";
import { eventOf } from "./wire-events.js";

const DEADLINE_MS_DEFAULT = 750;
const DRAIN_MS_DEFAULT = 2000;

const PRIORITIES: Readonly<Record<AdapterPriority, Priority>> = {
  proposal: Priority.PROPOSAL,
  aggregation: Priority.AGGREGATION,
  backlog: Priority.BACKLOG,
};

/**
 * The order of a tick is take, apply, then submit; otherwise votes that a proof represents already
 * are submitted again.
 */
export class TickAggregator {
  readonly #options: TickAggregatorOptions;
  readonly #node: { nodeId: string; nodeEpoch: bigint };
  readonly #endpoints: readonly [Endpoint, ...Endpoint[]];
  readonly #metrics: AdapterMetrics;
  readonly #nowMs: () => number;
  readonly #shell: AdapterShell;
  readonly #stop = new AbortController();
  readonly #streams: Promise<void>[];
  #closing: Promise<void> | null = null;

  /** Connects at once. Throws when no endpoint is given or the metrics are registered already. */
  constructor(options: TickAggregatorOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#metrics = createAdapterMetrics(options.registry ?? new Registry());
    const nodeEpoch = options.nodeEpoch ?? randomBytes(8).readBigUInt64LE();
    this.#node = { nodeId: options.nodeId, nodeEpoch };
    this.#endpoints = connectEndpoints(options);
    this.#shell = new AdapterShell(options, {
      node: this.#node,
      endpoints: this.#endpoints,
      metrics: this.#metrics,
      nowMs: this.#nowMs,
    });
    // Every call in flight listens; they are bounded by their time limits.
    setMaxListeners(0, this.#stop.signal);
    this.#streams = this.#endpoints.map((endpoint) => this.#readFrom(endpoint));
  }

  /**
   * Submits a snapshot, or says why not; `snapshot` is called only if it will be sent. Its result
   * is copied before this returns, and may change afterwards: about 1 ms for 1 MB. What the
   * service answers shows in the results and in the skip metric.
   */
  submitOrSkip(
    slot: number,
    gates: Gates,
    snapshot: () => SnapshotInit,
    options: SubmitOptions = {},
  ): SubmitAnswer {
    const startMs = this.#nowMs();
    try {
      return this.#submitOrSkip(slot, gates, snapshot, options, startMs);
    } finally {
      this.#metrics.submitSeconds.observe(Math.max(0, this.#nowMs() - startMs) / 1000);
    }
  }

  /** Every result that is ready, in order of arrival. Proofs past their fence are gone. */
  takeResults(currentSlot: number): TickResult[] {
    this.#shell.dispatch({ type: "take", slot: currentSlot });
    return this.#shell.drainResults();
  }

  /**
   * Stops submitting, waits up to `drainMs` (default 2000) for what is in flight, then cancels it;
   * half a second more at most, whatever the service does. Results can still be taken afterwards.
   * Idempotent.
   */
  close({ drainMs = DRAIN_MS_DEFAULT }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  #submitOrSkip(
    slot: number,
    gates: Gates,
    snapshot: () => SnapshotInit,
    options: SubmitOptions,
    startMs: number,
  ): SubmitAnswer {
    const { priority = "aggregation", mayReplace = false } = options;
    const effects = this.#shell.dispatch({ type: "ask", slot, gates, priority, mayReplace });
    for (const effect of effects) if (effect.type === "skip") return { skipped: effect.reason };
    let snapshotInit: SnapshotInit;
    let fenceMs: number;
    try {
      snapshotInit = snapshot();
      fenceMs = options.fenceMs ?? timeToFenceMs(this.#options.timeToFence, slot);
    } catch (error) {
      this.#shell.report(error);
      return this.#skip("snapshot_threw");
    }
    const requestId = randomUUID();
    let request: FlatEncoded;
    try {
      if (!Number.isFinite(fenceMs)) throw new TypeError("the time to the fence is not finite");
      request = this.#encode(requestId, slot, snapshotInit, options);
    } catch (error) {
      this.#shell.report(error);
      return this.#skip("invalid");
    }
    const submission: Submission = {
      requestId,
      priority,
      slot,
      groups: snapshotInit.groups?.length ?? 0,
      fenceAtMs: startMs + fenceMs,
      fenceSlot: options.fenceMs === undefined ? slot + 2 : null,
    };
    this.#shell.dispatch({ type: "submitted", submission });
    const deadlineMs = options.deadlineMs ?? this.#options.deadlineMs ?? DEADLINE_MS_DEFAULT;
    // After the tick: grpc-js copies the bytes once more.
    setImmediate(() => void this.#send(submission, request, startMs + deadlineMs));
    return { submitted: true, requestId };
  }

  /** In the tick: a thread could take over no more than this one copy, and would need it too. */
  #encode(
    requestId: string,
    slot: number,
    snapshot: SnapshotInit,
    { priority = "aggregation", mayReplace = false, partialPolicy }: SubmitOptions,
  ): FlatEncoded {
    return encodeRequest({
      node: this.#node,
      snapshot: { ...snapshot, slot: BigInt(slot) },
      ...(this.#options.proofSystem && { proofSystem: this.#options.proofSystem }),
      requestId,
      priority: PRIORITIES[priority],
      busyPolicy: mayReplace ? BusyPolicy.REPLACE : BusyPolicy.SKIP,
      ...(partialPolicy !== undefined && { partialPolicy }),
    });
  }

  /** Never rejects. */
  async #send(submission: Submission, request: FlatEncoded, deadlineAtMs: number): Promise<void> {
    const { requestId, fenceAtMs } = submission;
    for (;;) {
      const answer = await sendSnapshot({
        request,
        deadlineAtMs: Math.min(deadlineAtMs, fenceAtMs),
        fenceAtMs,
        nowMs: this.#nowMs,
        target: () => this.#shell.target(),
        signal: this.#stop.signal,
      });
      if (answer.kind === "accepted") {
        const { sessionId, fenceMs } = answer.accepted;
        const endpoint = answer.endpoint.address;
        this.#shell.dispatch({ type: "accepted", requestId, endpoint, sessionId, fenceMs });
        return;
      }
      const { reason, error } = answer;
      const endpoint = answer.endpoint?.address ?? null;
      if (error !== null) this.#shell.report(error);
      const effects = this.#shell.dispatch({ type: "refused", requestId, endpoint, reason });
      if (!effects.some((effect) => effect.type === "go")) return;
    }
  }

  /** Dispatches what the endpoint streams, until `close()`. Never rejects. */
  async #readFrom({ address: endpoint, client }: Endpoint): Promise<void> {
    for await (const event of resumeResults(client, { node: this.#node }, this.#stop.signal)) {
      if (event.kind === "broken") {
        this.#shell.dispatch({ type: "disconnected", endpoint });
        this.#shell.report(event.error);
      } else {
        const wireEvent = eventOf(endpoint, event.response);
        if (wireEvent !== null) this.#shell.dispatch(wireEvent);
      }
    }
  }

  #skip(reason: AdapterSkipReason): SubmitAnswer {
    this.#metrics.skips.inc({ reason });
    return { skipped: reason };
  }

  async #close(drainMs: number): Promise<void> {
    this.#shell.dispatch({ type: "closing" });
    await this.#shell.untilIdle(drainMs);
    this.#stop.abort();
    await this.#shell.cancelAll();
    this.#shell.dispatch({ type: "closed" });
    for (const { client } of this.#endpoints) client.close();
    await Promise.all(this.#streams);
  }
}
