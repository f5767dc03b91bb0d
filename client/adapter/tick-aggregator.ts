/**
 * The adapter: submits frozen snapshots from the node's tick, and returns the results when the node
 * asks. No method for the tick blocks, awaits or throws. The rules are in `client/machine`;
 * `AdapterShell` carries out their effects.
 */
import { randomUUID } from "node:crypto";
import { setMaxListeners } from "node:events";
import { Registry } from "prom-client";
import type { FlatEncoded } from "./flat-encoder.js";
import { BusyPolicy, Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type {
  AdapterPriority,
  AdapterProofKind,
  AdapterSkipReason,
  Gates,
  LatchName,
} from "../machine/index.js";
import { BodyCandidate, type BodyOptions } from "./body-candidate.js";
import { checkAdapterOptions, checkSubmission, type SubmissionValues } from "./check-options.js";
import { connectEndpoints, type Endpoint } from "./endpoints.js";
import { snapshotOfMerge } from "./merge.js";
import type { MergeGates, MergeInit, MergeOptions } from "./merge.js";
import { createAdapterMetrics, type AdapterMetrics } from "./metrics.js";
import type { OpenGroup } from "./open-groups.js";
import type {
  SnapshotInit,
  SubmitAnswer,
  SubmitOptions,
  TickAggregatorOptions,
  TickResult,
} from "./options.js";
import { encodeRequest } from "./request-encoding.js";
import { AdapterShell } from "./shell.js";
import { defaultSteps, timeToFenceMs } from "./slot-clock.js";

const DEADLINE_MS_DEFAULT = 750;
const DRAIN_MS_DEFAULT = 2000;

const PRIORITIES: Readonly<Record<AdapterPriority, Priority>> = {
  proposal: Priority.PROPOSAL,
  aggregation: Priority.AGGREGATION,
  backlog: Priority.BACKLOG,
};

/** What a submission asks for. */
interface Work {
  proofKind: AdapterProofKind;
  options: SubmitOptions;
  /** Calls the node's function. */
  make: () => Made | null | undefined;
}

/** What the node's function has made. */
interface Made {
  groups: number;
  /** Throws `TypeError` for values that every service refuses. */
  snapshot: () => SnapshotInit;
}

/**
 * The adapter, one for each node. In each tick, take the results, apply them, then submit:
 * otherwise the node submits votes that are already in a proof. An adapter keeps the process alive
 * until `close()`.
 */
export class TickAggregator {
  private readonly node: { nodeId: string; nodeEpoch: bigint };
  private readonly endpoints: readonly Endpoint[];
  private readonly metrics: AdapterMetrics;
  private readonly nowMs: () => number;
  private readonly shell: AdapterShell;
  private readonly stop = new AbortController();
  private readonly streams: Promise<void>[];
  private readonly bodies: BodyCandidate[] = [];
  private closing: Promise<void> | null = null;

  /**
   * Starts to connect at once. Throws `TypeError` when no endpoint is given or one cannot be used, or
   * for an invalid node id, epoch, slot clock or `receiveBytesMax`, and `Error` when the registry has
   * these metrics already.
   */
  constructor(private readonly options: TickAggregatorOptions) {
    const { nodeId, nodeEpoch = BigInt(Date.now()), timeToFence, receiveBytesMax } = options;
    checkAdapterOptions({ nodeId, nodeEpoch, timeToFence, receiveBytesMax });
    this.node = { nodeId, nodeEpoch };
    this.nowMs = options.nowMs ?? (() => performance.now());
    this.endpoints = connectEndpoints(options);
    // After all that throws for an option: the node's registry is left as it was.
    this.metrics = createAdapterMetrics(options.registry ?? new Registry());
    const { node, endpoints, metrics, nowMs } = this;
    const onSkip = (reason: AdapterSkipReason, requestId: string, mayPass: boolean) => {
      if (!this.bodies.some((body) => body.skipped(reason, requestId, mayPass)))
        options.onSkip?.(reason, requestId);
    };
    this.shell = new AdapterShell({ ...options, onSkip }, { node, endpoints, metrics, nowMs });
    // Every stream adds listeners.
    setMaxListeners(0, this.stop.signal);
    this.streams = endpoints.map((endpoint) => this.shell.readFrom(endpoint, this.stop.signal));
  }

  /**
   * Submits a snapshot, or returns why not. Calls `snapshot` only when it is to be submitted, and
   * copies its result before returning: about 1 ms for 1 MB. Null or undefined, or a snapshot
   * without groups, says that there is nothing to submit. The service's answer comes later: it shows
   * in `takeResults`, in `onSkip` and in the skip metric.
   */
  submitOrSkip(
    slot: number,
    gates: Gates,
    snapshot: () => SnapshotInit | null | undefined,
    options: SubmitOptions = {},
  ): SubmitAnswer {
    const make = () => {
      const init = snapshot();
      return init && { groups: init.groups?.length ?? 0, snapshot: () => init };
    };
    return this.askAndSubmit(slot, gates, { proofKind: "aggregate", options, make });
  }

  /**
   * Submits one merge, a proof of several messages, as `submitOrSkip` submits a snapshot; null or no
   * components: nothing to submit. Merges and votes of one priority are in flight side by side. The
   * merge's result has group index 0. Its outcome has `claims`: who signed which message, in the
   * order of the components. A bad component ends it `REJECTED`, named in `leftOut`: no part of a
   * merge is proved.
   */
  mergeOrSkip(
    slot: number,
    gates: MergeGates,
    merge: () => MergeInit | null | undefined,
    options: MergeOptions = {},
  ): SubmitAnswer {
    const { priority = "aggregation" } = options;
    const make = () => {
      const init = merge();
      return (
        init && {
          groups: Math.min(1, init.components.length),
          snapshot: () => snapshotOfMerge(slot, priority, init),
        }
      );
    };
    return this.askAndSubmit(
      slot,
      { ...gates, isAggregator: true },
      { proofKind: "merge", options, make },
    );
  }

  /**
   * Returns each ready result once, in the order in which groups ended. A proof past its fence is
   * dropped: no result comes for its group.
   */
  takeResults(currentSlot: number): TickResult[] {
    return this.take(currentSlot);
  }

  /**
   * Makes the candidate for the bodies of the node's own blocks, for the life of the adapter. It
   * submits merges by itself, and its results are not among those of `takeResults`, which must go on
   * being called. Needs a `timeToFence` that is a `SlotClock` or counts to the start of slot N + 2.
   * Throws `TypeError` for an invalid `componentsMax`.
   */
  growBody(options: BodyOptions): BodyCandidate {
    const body = new BodyCandidate(options, {
      hasVerifyHook: this.options.verify !== undefined,
      mergeOrSkip: (...args) => this.mergeOrSkip(...args),
      cancel: (requestId) => this.cancel(requestId),
      // The fence of a submission is the start of the slot after the next.
      timeToSlotMs: (slot) => timeToFenceMs(this.options.timeToFence, slot - 2),
      collect: (slot, requestIds) => void this.take(slot, requestIds),
      report: (error) => this.shell.report(error),
    });
    this.bodies.push(body);
    return body;
  }

  /**
   * Cancels every group that matches and has not ended, for example because its source, target or
   * keys have left the chain. These groups end as `cancelled`. If the predicate throws, nothing is
   * cancelled.
   */
  cancelWhere(predicate: (group: OpenGroup) => boolean): void {
    try {
      for (const { requestId, groups } of this.shell.openGroups.matching(predicate))
        this.shell.dispatch({ kind: "cancel", requestId, groups });
    } catch (error) {
      this.shell.report(error);
    }
  }

  /** Cancels what has not ended of a request, for example a merge whose parent has gone stale. */
  cancel(requestId: string): void {
    this.shell.dispatch({ kind: "cancel", requestId, groups: null });
  }

  /**
   * Stops submitting, waits up to `drainMs` milliseconds (default 2000) for what is in flight, then
   * cancels the rest, which takes at most 500 ms more. Results can still be taken afterwards.
   * Idempotent; never rejects.
   */
  close({ drainMs = DRAIN_MS_DEFAULT }: { drainMs?: number } = {}): Promise<void> {
    this.closing ??= this.closeAfter(drainMs);
    return this.closing;
  }

  /** Takes results, of these requests if they are given. Passes a body its own, and returns the others. */
  private take(slot: number, requestIds?: readonly string[]): TickResult[] {
    this.shell.dispatch({ kind: "take", slot, ...(requestIds && { requestIds }) });
    const results = this.shell.drainResults();
    return results.filter((result) => !this.bodies.some((body) => body.absorb(slot, result)));
  }

  /** Asks the gates, and submits where they are open. */
  private askAndSubmit(slot: number, gates: Gates, work: Work): SubmitAnswer {
    const startMs = this.nowMs();
    const { priority = "aggregation", mayReplace = false } = work.options;
    const latch = { priority, proofKind: work.proofKind };
    for (const effect of this.shell.dispatch({ kind: "ask", slot, gates, ...latch, mayReplace }))
      if (effect.kind === "skip") return this.skippedByGate(effect.reason, slot);
    try {
      return this.submitAt(startMs, slot, latch, work);
    } finally {
      this.metrics.submitSeconds.observe(Math.max(0, this.nowMs() - startMs) / 1000);
    }
  }

  private submitAt(startMs: number, slot: number, latch: LatchName, work: Work): SubmitAnswer {
    const { options, make } = work;
    let made: Made | null | undefined;
    try {
      made = make();
    } catch (error) {
      return this.skip("snapshot_threw", error);
    }
    if (!made?.groups) return this.skip("nothing_to_submit");
    const { groups } = made;
    const requestId = randomUUID();
    let values: SubmissionValues;
    let init: SnapshotInit;
    let request: FlatEncoded;
    try {
      values = this.valuesOf(startMs, slot, work);
      checkSubmission(values);
      init = made.snapshot();
      request = this.encode(requestId, slot, init, options);
    } catch (error) {
      return this.skip("invalid", error);
    }
    const { deadlineMs, fenceMs, holdMs } = values;
    const leftMs = Math.min(deadlineMs, fenceMs) - (this.nowMs() - startMs);
    // A node that stalled submits for slots whose time is already over.
    if (leftMs < 1) return this.skip("predicted_miss");
    const steps = values.steps.map(({ untilMs, weight }) => ({
      untilAtMs: startMs + untilMs,
      weight,
    }));
    const submitted = { requestId, nodeId: this.node.nodeId, slot, groups };
    const traceparent = this.shell.spans.start(submitted, options.traceparent);
    this.shell.sender.freeze(requestId, request, { steps, traceparent });
    this.shell.openGroups.add(requestId, slot, init);
    const submission = {
      requestId,
      ...latch,
      slot,
      groups,
      bytes: request.buffer.length,
      deadlineAtMs: startMs + Math.min(deadlineMs, fenceMs),
      fenceAtMs: startMs + fenceMs,
      fenceSlot: options.fenceMs === undefined ? slot + 2 : null,
      holdUntilMs: holdMs > 0 ? startMs + holdMs : 0,
    };
    this.shell.dispatch({ kind: "submitted", submission });
    return { submitted: true, requestId };
  }

  /** Milliseconds from `startMs`. The node's clock counts from now: its snapshot has taken time. */
  private valuesOf(startMs: number, slot: number, { proofKind, options }: Work): SubmissionValues {
    const { timeToFence, deadlineMs: usualMs = DEADLINE_MS_DEFAULT } = this.options;
    const spentMs = Math.floor(this.nowMs() - startMs);
    const fenceMs = options.fenceMs ?? spentMs + timeToFenceMs(timeToFence, slot);
    const isMerge = proofKind === "merge";
    const defaultMs = isMerge || options.priority === "backlog" ? fenceMs : usualMs;
    const stepsByClock = () => defaultSteps(timeToFence, slot, { fenceMs, spentMs });
    const steps = options.steps ?? (isMerge ? [] : stepsByClock());
    const { deadlineMs = defaultMs, holdMs = 0, minInputs } = options;
    return { deadlineMs, fenceMs, holdMs, steps, ...(minInputs !== undefined && { minInputs }) };
  }

  /** Encodes in the tick: another thread would save nothing, as it would need the same copy. */
  private encode(
    requestId: string,
    slot: number,
    snapshot: SnapshotInit,
    { priority = "aggregation", mayReplace = false, partialPolicy, minInputs }: SubmitOptions,
  ): FlatEncoded {
    return encodeRequest({
      node: this.node,
      snapshot: { ...snapshot, slot: BigInt(slot) },
      ...(this.options.proofSystem && { proofSystem: this.options.proofSystem }),
      requestId,
      priority: PRIORITIES[priority],
      busyPolicy: mayReplace ? BusyPolicy.REPLACE : BusyPolicy.SKIP,
      ...(partialPolicy !== undefined && { partialPolicy }),
      ...(minInputs !== undefined && { minInputs }),
    });
  }

  private skippedByGate(reason: AdapterSkipReason, slot: number): SubmitAnswer {
    if (reason === "unreachable") {
      try {
        this.options.onUnreachable?.(slot);
      } catch (error) {
        this.shell.report(error);
      }
    }
    return { skipped: reason };
  }

  private skip(reason: AdapterSkipReason, error?: unknown): SubmitAnswer {
    if (error !== undefined) this.shell.report(error);
    this.metrics.skips.inc({ reason });
    return { skipped: reason };
  }

  private async closeAfter(drainMs: number): Promise<void> {
    this.shell.dispatch({ kind: "closing" });
    await this.shell.untilIdle(drainMs);
    this.shell.dispatch({ kind: "closed" });
    await this.shell.untilCancelled();
    this.shell.sender.close();
    this.shell.spans.close();
    this.stop.abort();
    for (const { client } of this.endpoints) client.close();
    await Promise.all(this.streams);
  }
}
