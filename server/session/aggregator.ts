/**
 * The sessions' shell: admits snapshots, runs the session machines' effects, keeps each node's
 * results log, and supplies the dispatcher with the next group. Called by the rpc handlers.
 */
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import type { Accepted, Session } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  SessionSchema,
  SessionState as WireSessionState,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Clock } from "../clock.js";
import { invalid, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { Metrics, SkipReason } from "../metrics.js";
import type { Dispatcher, Job } from "../schedule/dispatcher.js";
import type { DecodedGroup } from "./decode-snapshot.js";
import { toOutcome, toSummary } from "./outcome.js";
import { ResultsLog } from "./results-log.js";
import type { SessionEffect, SessionEvent, SessionState } from "./session.js";
import { isEnded, transitionSession } from "./session.js";

/** A checked snapshot, its budgets resolved to instants. */
export interface Submission {
  nodeId: string;
  nodeEpoch: bigint;
  requestId: string;
  /** SHA-256 over what the request asks for, budgets apart. */
  contentDigest: string;
  slot: bigint;
  priority: number;
  shouldReplace: boolean;
  receivedAtMs: number;
  deadlineAtMs: number;
  fenceAtMs: number;
  bytes: number;
  groups: readonly DecodedGroup[];
  /** The answer for an accepted session, less what only admission knows. */
  accepted: Omit<Accepted, "sessionId" | "predictedFinishMs" | "$typeName" | "$unknown">;
}

export type Admission =
  | { kind: "accepted"; accepted: Omit<Accepted, "$typeName" | "$unknown"> }
  | {
      kind: "skipped";
      reason: SkipReason;
      detail: string;
      predictedFinishMs?: number;
      sessionId?: string;
    };

interface LiveSession {
  id: string;
  order: number;
  submission: Submission;
  state: SessionState;
  startedAtMs: (number | undefined)[];
  hasStarted: boolean;
  counts: Map<string, number>;
  cancelTimers: (() => void)[];
}

interface NodeRecord {
  epoch: bigint;
  log: ResultsLog;
  requests: Map<string, { contentDigest: string; admission: Admission }>;
  streams: number;
}

export class Aggregator {
  private readonly sessions = new Map<string, LiveSession>();
  private readonly nodes = new Map<string, NodeRecord>();
  private nextOrder = 1;
  private isDraining = false;
  private heldBytes = 0;
  private readonly endWaiters = new Set<() => void>();

  constructor(
    private readonly options: { instance: string },
    private readonly modules: {
      clock: Clock;
      log: Logger;
      metrics: Metrics;
      dispatcher: Dispatcher;
    },
  ) {}

  /** The earlier answer to this request id, if any; other content under the same id is refused. */
  remembered(nodeId: string, requestId: string, contentDigest: string): Admission | undefined {
    if (requestId === "") return undefined;
    const earlier = this.nodes.get(nodeId)?.requests.get(requestId);
    if (earlier !== undefined && earlier.contentDigest !== contentDigest) {
      throw invalid("request_id", `${requestId} was used for a request with other content`);
    }
    return earlier?.admission;
  }

  submit(submission: Submission): Admission {
    const { nodeId, requestId, contentDigest } = submission;
    const admission = this.remembered(nodeId, requestId, contentDigest) ?? this.admit(submission);
    if (admission.kind === "skipped") this.modules.metrics.skips.inc({ reason: admission.reason });
    return admission;
  }

  /** The log of a node; made on first use, so that a stream may be opened before a submission. */
  node(nodeId: string): NodeRecord {
    let record = this.nodes.get(nodeId);
    if (record === undefined) {
      if (this.nodes.size >= limits.nodesMax) this.forgetIdleNodes();
      if (this.nodes.size >= limits.nodesMax) {
        throw new Refusal(
          "resource_exhausted",
          "node.node_id",
          `${limits.nodesMax} nodes are known already`,
        );
      }
      const log = new ResultsLog({
        instance: this.options.instance,
        eventsMax: limits.logEventsMax,
      });
      record = { epoch: 0n, log, requests: new Map(), streams: 0 };
      this.nodes.set(nodeId, record);
    }
    return record;
  }

  /** State and outcomes; refuses ids that this node does not have. */
  session(nodeId: string, sessionId: string): Session {
    const live = this.sessions.get(sessionId);
    const entries = this.nodes.get(nodeId)?.log.outcomesOf(sessionId) ?? [];
    const isOwn = live?.submission.nodeId === nodeId;
    if (!isOwn && entries.length === 0) {
      throw new Refusal(
        "not_found",
        "session_id",
        `no session ${JSON.stringify(sessionId)} of this node`,
      );
    }
    const outcomes = entries.flatMap(({ event }) =>
      event.kind === "outcome" ? [event.outcome] : [],
    );
    const summary = entries.flatMap(({ event }) =>
      event.kind === "summary" ? [event.summary] : [],
    )[0];
    return create(SessionSchema, {
      sessionId,
      state: summary === undefined ? WireSessionState.IN_FLIGHT : WireSessionState.ENDED,
      outcomes: outcomes.sort((a, b) => a.groupIndex - b.groupIndex),
      groups: summary?.groups ?? live?.state.groups.length ?? outcomes.length,
      ...(summary === undefined ? {} : { summary }),
    });
  }

  cancel(nodeId: string, sessionId: string, groups: readonly number[]): Session {
    const live = this.sessions.get(sessionId);
    if (live?.submission.nodeId === nodeId) {
      const count = live.state.groups.length;
      const outside = groups.find((group) => group >= count);
      if (outside !== undefined)
        throw invalid("group_indices", `${outside}: the session has ${count} groups`);
      const all = [...live.state.groups.keys()];
      this.step(live, { kind: "cancel", groups: groups.length === 0 ? all : groups });
    }
    return this.session(nodeId, sessionId);
  }

  /** Erases proofs past their fence and trims logs; called by a timer. */
  expire(): void {
    const nowMs = this.modules.clock.nowMs();
    for (const { log } of this.nodes.values()) log.expire(nowMs, limits.retentionMs);
  }

  get draining(): boolean {
    return this.isDraining;
  }

  /** Refuses new work, ends what is queued, gives what runs until the bound, ends the rest. */
  async drain(boundMs: number): Promise<void> {
    this.isDraining = true;
    for (const live of [...this.sessions.values()]) this.step(live, { kind: "drain" });
    if (this.sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.modules.clock.at(this.modules.clock.nowMs() + boundMs, resolve);
        this.endWaiters.add(() => {
          if (this.sessions.size > 0) return;
          cancel();
          resolve();
        });
      });
    }
    for (const live of [...this.sessions.values()]) this.step(live, { kind: "drained" });
  }

  /** The next group in order: priority, then arrival; within a session the node's own order. */
  nextJob(): Job | undefined {
    const order = (a: LiveSession, b: LiveSession) =>
      a.submission.priority - b.submission.priority || a.order - b.order;
    for (const live of [...this.sessions.values()].sort(order)) {
      const group = live.state.groups.findIndex(({ kind }) => kind === "queued");
      if (group >= 0) return this.jobOf(live, group);
    }
    return undefined;
  }

  private jobOf(live: LiveSession, group: number): Job | undefined {
    const decoded = live.submission.groups[group];
    if (decoded === undefined) throw new Error(`session ${live.id} has no group ${group}`);
    const { deadlineAtMs, fenceAtMs, receivedAtMs } = live.submission;
    const isFirstOfSession = !live.hasStarted;
    live.hasStarted = true;
    return {
      work: decoded.work,
      deadlineAtMs,
      fenceAtMs,
      isFirstOfSession,
      started: (attempt) => {
        const nowMs = this.modules.clock.nowMs();
        live.startedAtMs[group] = nowMs;
        this.modules.metrics.queueSeconds.observe((nowMs - receivedAtMs) / 1000);
        this.step(live, { kind: "started", group, attempt });
      },
      finished: (attempt, result) => {
        const wasRunning = live.state.groups[group]?.kind === "running";
        const isFenced = this.modules.clock.nowMs() >= fenceAtMs;
        if (result.kind === "proved" && (isFenced || !wasRunning))
          this.modules.metrics.fenced.inc();
        this.step(live, { kind: "result", group, attempt, result });
      },
    };
  }

  private admit(submission: Submission): Admission {
    const skip = this.skipReason(submission);
    if (skip !== undefined) return skip;
    const record = this.node(submission.nodeId);
    this.supersedeOlder(record, submission);

    const order = this.nextOrder++;
    const id = createHash("sha256")
      .update(`${this.options.instance}/${order}`)
      .digest("hex")
      .slice(0, 16);
    const { deadlineAtMs, fenceAtMs, receivedAtMs, groups } = submission;
    const live: LiveSession = {
      id,
      order,
      submission,
      state: { deadlineAtMs, fenceAtMs, groups: groups.map(() => ({ kind: "queued" })) },
      startedAtMs: [],
      hasStarted: false,
      counts: new Map(),
      cancelTimers: [],
    };
    const { clock, dispatcher, metrics } = this.modules;
    this.sessions.set(id, live);
    this.heldBytes += submission.bytes;
    metrics.sessionsInFlight.set(this.sessions.size);
    live.cancelTimers.push(
      clock.at(deadlineAtMs, () => this.step(live, { kind: "deadline" })),
      clock.at(fenceAtMs, () => this.step(live, { kind: "fence" })),
    );
    const predictedFinishMs = Math.round(
      clock.nowMs() - receivedAtMs + this.predictedMs(submission),
    );
    const accepted = { ...submission.accepted, sessionId: id, predictedFinishMs };
    const admission: Admission = { kind: "accepted", accepted };
    this.remember(record, submission, admission);
    groups.forEach(({ isOverLimit }, group) => {
      if (isOverLimit) this.step(live, { kind: "refused", group, reason: "limit" });
    });
    dispatcher.wake();
    return admission;
  }

  private predictedMs({ groups }: Submission): number {
    const cost = ({ work }: DecodedGroup) =>
      this.modules.dispatcher.predictMs(work.raws.validators.length, work.children.length);
    return groups.reduce((sum, group) => sum + (group.isOverLimit ? 0 : cost(group)), 0);
  }

  private skipReason(submission: Submission): Admission | undefined {
    const skipped = (reason: SkipReason, detail: string): Admission => ({
      kind: "skipped",
      reason,
      detail,
    });
    if (this.isDraining) return skipped("draining", "the service is shutting down");
    if (!this.modules.dispatcher.isUp) return skipped("no_prover", "no device is up");
    const inWay = this.inFlight(submission);
    if (inWay !== undefined && !submission.shouldReplace) {
      const detail = `session ${inWay.id} of slot ${inWay.submission.slot} is in flight`;
      return { kind: "skipped", reason: "in_flight", detail, sessionId: inWay.id };
    }
    if (this.sessions.size >= limits.sessionsInFlightMax) {
      return skipped("overloaded", `${this.sessions.size} sessions are in flight`);
    }
    if (this.heldBytes + submission.bytes > limits.heldBytesMax) {
      return skipped("overloaded", `${this.heldBytes} bytes of snapshots are held`);
    }
    return undefined;
  }

  private inFlight({ nodeId, nodeEpoch, priority }: Submission): LiveSession | undefined {
    return [...this.sessions.values()].find(
      ({ submission: other }) =>
        other.nodeId === nodeId && other.nodeEpoch === nodeEpoch && other.priority === priority,
    );
  }

  /** A new epoch ends all that its predecessor queued; `replace` ends the session in the way. */
  private supersedeOlder(record: NodeRecord, submission: Submission): void {
    for (const live of [...this.sessions.values()]) {
      const { nodeId, nodeEpoch, priority } = live.submission;
      if (nodeId !== submission.nodeId) continue;
      const isOldEpoch = nodeEpoch !== submission.nodeEpoch;
      const isReplaced = submission.shouldReplace && priority === submission.priority;
      if (isOldEpoch || isReplaced) this.step(live, { kind: "supersede" });
    }
    record.epoch = submission.nodeEpoch;
  }

  private remember(record: NodeRecord, submission: Submission, admission: Admission): void {
    const { requestId, contentDigest } = submission;
    if (requestId === "") return;
    record.requests.set(requestId, { contentDigest, admission });
    const oldest = record.requests.keys().next();
    if (record.requests.size > limits.requestIdsMax && !oldest.done)
      record.requests.delete(oldest.value);
  }

  private forgetIdleNodes(): void {
    for (const [nodeId, { log, streams }] of this.nodes) {
      const isLive = [...this.sessions.values()].some(
        ({ submission }) => submission.nodeId === nodeId,
      );
      if (log.size === 0 && streams === 0 && !isLive) this.nodes.delete(nodeId);
    }
  }

  private step(live: LiveSession, event: SessionEvent): void {
    if (isEnded(live.state)) return;
    const { state, effects } = transitionSession(live.state, event, this.modules.clock.nowMs());
    live.state = state;
    for (const effect of effects) this.apply(live, effect);
  }

  private apply(live: LiveSession, effect: SessionEffect): void {
    const { clock, metrics, dispatcher, log } = this.modules;
    const { submission } = live;
    const results = this.node(submission.nodeId).log;
    const nowMs = clock.nowMs();
    const write = { sessionId: live.id, fenceAtMs: submission.fenceAtMs };
    if (effect.kind === "end") {
      const decoded = submission.groups[effect.group];
      if (decoded === undefined) throw new Error(`session ${live.id} has no group ${effect.group}`);
      const startedAtMs = live.startedAtMs[effect.group];
      const { outcome, status } = toOutcome({
        sessionId: live.id,
        slot: submission.slot,
        groupIndex: effect.group,
        decoded,
        ending: effect.ending,
        description: dispatcher.describe(),
        queueMs: (startedAtMs ?? nowMs) - submission.receivedAtMs,
      });
      metrics.outcomes.inc({ status });
      live.counts.set(status, (live.counts.get(status) ?? 0) + 1);
      results.append({ ...write, event: { kind: "outcome", outcome } });
      return;
    }
    const durationMs = nowMs - submission.receivedAtMs;
    const counts = Object.fromEntries(live.counts);
    results.append({
      ...write,
      event: { kind: "summary", summary: toSummary(live.id, submission, counts, durationMs) },
    });
    for (const cancel of live.cancelTimers) cancel();
    this.sessions.delete(live.id);
    this.heldBytes -= submission.bytes;
    metrics.sessionsInFlight.set(this.sessions.size);
    metrics.sessionSeconds.observe(durationMs / 1000);
    log.info(
      {
        session: live.id,
        node: submission.nodeId,
        slot: String(submission.slot),
        groups: submission.groups.length,
        durationMs: Math.round(durationMs),
        ...counts,
      },
      "session ended",
    );
    for (const wake of [...this.endWaiters]) wake();
  }
}
