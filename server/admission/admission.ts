/**
 * What the rpc handlers call: admits snapshots or says why not, tells of sessions, cancels them, and
 * drains. Everything here answers at once; the work is `Sessions`'s.
 */
import { create } from "@bufbuild/protobuf";
import type { Session as WireSession } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  SessionSchema,
  SessionState as WireSessionState,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Clock } from "../clock.js";
import { invalid, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { MemoryBudget } from "../memory-budget.js";
import type { Metrics, SkipReason } from "../metrics.js";
import type { Dispatcher, JobSource } from "../schedule/dispatcher.js";
import { GroupQueue } from "../schedule/queue.js";
import { shapeOf } from "../work/shape.js";
import type { GroupWork } from "../work/group.js";
import type { Admission, NodeRecord } from "../session/nodes.js";
import type { RequestIdentity } from "../work/submission.js";
import { Nodes } from "../session/nodes.js";
import { brokenQuota } from "../access/quota.js";
import type { Session } from "../session/session.js";
import type { Submission } from "../work/submission.js";
import { Sessions } from "../session/sessions.js";

/** Of a number in an array. */
const VALIDATOR_BYTES = 8;

export interface AggregatorModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  dispatcher: Dispatcher;
  memory: MemoryBudget;
}

export class Aggregator {
  private readonly nodes: Nodes;
  private readonly sessions: Sessions;
  private readonly groupQueue: GroupQueue;
  private isDraining = false;

  constructor(
    options: { instance: string },
    private readonly modules: AggregatorModules,
  ) {
    const nowMs = () => modules.clock.nowMs();
    this.nodes = new Nodes(
      { ...options, nowMs },
      (nodeId) => this.sessions.ofNode(nodeId).length > 0,
    );
    const { clock, log, metrics, dispatcher } = modules;
    this.sessions = new Sessions(options, {
      clock,
      log,
      metrics,
      describeProver: () => dispatcher.describe(),
      leaveAttempt: (...left) => this.groupQueue.leave(...left),
    });
    this.groupQueue = new GroupQueue({ clock, metrics, dispatcher, sessions: this.sessions });
  }

  remembered(request: RequestIdentity): Admission | undefined {
    return this.nodes.remembered(request);
  }

  submit(submission: Submission): Admission {
    const admission = this.remembered(submission) ?? this.admit(submission);
    if (admission.kind === "skipped") this.modules.metrics.skips.inc({ reason: admission.reason });
    return admission;
  }

  /** The record of a node, made on first use. */
  node(nodeId: string): NodeRecord {
    return this.nodes.get(nodeId);
  }

  /** State and outcomes; refuses ids that this node does not have. */
  session(nodeId: string, sessionId: string): WireSession {
    const session = this.sessions.get(sessionId);
    const entries = this.nodes.find(nodeId)?.log.ofSession(sessionId) ?? [];
    if (session?.submission.nodeId !== nodeId && entries.length === 0) {
      const detail = `no session ${JSON.stringify(sessionId)} of this node`;
      throw new Refusal("not_found", "session_id", detail);
    }
    const events = entries.map(({ event }) => event);
    const outcomes = events.flatMap((event) => (event.kind === "outcome" ? [event.outcome] : []));
    const summary = events.flatMap((event) => (event.kind === "summary" ? [event.summary] : []))[0];
    return create(SessionSchema, {
      sessionId,
      state: summary === undefined ? WireSessionState.IN_FLIGHT : WireSessionState.ENDED,
      outcomes: outcomes.sort((a, b) => a.groupIndex - b.groupIndex),
      groups: summary?.groups ?? session?.state.groups.length ?? outcomes.length,
      ...(summary === undefined ? {} : { summary }),
    });
  }

  /** Ends a session of the node or some of its groups, and tells how it stands. Idempotent. */
  cancel(nodeId: string, sessionId: string, groups: readonly number[]): WireSession {
    const session = this.sessions.get(sessionId);
    if (session?.submission.nodeId === nodeId) this.cancelGroups(session, groups);
    return this.session(nodeId, sessionId);
  }

  /** The operator's view: every session in flight, whoever submitted it. */
  liveSessions(): readonly Session[] {
    return this.sessions.all();
  }

  /** The operator's: ends a session, whoever submitted it; false when it is not in flight. */
  endSession(sessionId: string): boolean {
    const session = this.sessions.get(sessionId);
    if (session !== undefined) this.cancelGroups(session, []);
    return session !== undefined;
  }

  /** The operator's: a session that has ended, whoever submitted it, and is not forgotten yet. */
  retains(sessionId: string): boolean {
    return this.nodes.retains(sessionId);
  }

  /** Erases proofs past their fence and trims logs; called by a timer. */
  expire(): void {
    this.nodes.expire();
    this.groupQueue.expire();
    this.sessions.expire();
  }

  /** What waits for a prover. */
  get queue(): JobSource {
    return this.groupQueue;
  }

  get draining(): boolean {
    return this.isDraining;
  }

  /** Refuses new work, ends what is queued, gives what runs until the bound, ends the rest. */
  async drain(boundMs: number): Promise<void> {
    this.isDraining = true;
    for (const session of this.sessions.all()) this.sessions.step(session, { kind: "drain" });
    await this.sessions.untilEmpty(boundMs);
    for (const session of this.sessions.all()) this.sessions.step(session, { kind: "drained" });
    this.groupQueue.close();
  }

  private cancelGroups(session: Session, groups: readonly number[]): void {
    const count = session.state.groups.length;
    const outside = groups.find((group) => group >= count);
    if (outside !== undefined) {
      throw invalid("group_indices", `${outside}: the session has ${count} groups`);
    }
    const all = [...session.state.groups.keys()];
    this.sessions.step(session, { kind: "cancel", groups: groups.length === 0 ? all : groups });
  }

  private admit(submission: Submission): Admission {
    const skip = this.skipReason(submission);
    if (skip !== undefined) return skip;
    const { nodeId } = submission;
    const { log } = this.node(nodeId);
    const share = this.modules.memory.reserve(bytesToHold(submission));
    if (share === undefined) {
      const { heldBytes } = this.modules.memory;
      const detail = `${heldBytes} bytes are held, and the snapshot and its results do not fit`;
      return { kind: "skipped", reason: "overloaded", detail };
    }
    this.supersedeOlder(submission);
    const { clock, dispatcher } = this.modules;
    const { startAtMs } = this.groupQueue.forecast(submission);
    const cameToIdle = dispatcher.isIdle;
    const session = this.sessions.open(submission, { log, share, cameToIdle });
    // A proof that it shares may have run for longer than predicted already.
    const finishAtMs = Math.max(clock.nowMs(), startAtMs + this.predictedMs(submission));
    const predictedFinishMs = Math.round(finishAtMs - submission.receivedAtMs);
    const accepted = { ...submission.accepted, sessionId: session.id, predictedFinishMs };
    const admission: Admission = { kind: "accepted", accepted };
    this.nodes.remember(submission, admission);
    this.groupQueue.enter(session);
    dispatcher.wake();
    return admission;
  }

  private predictedMs({ groups }: Submission): number {
    const { dispatcher } = this.modules;
    return groups
      .filter(({ isOverLimit }) => !isOverLimit)
      .reduce((sum, { work }) => sum + dispatcher.predictMs(shapeOf(work)), 0);
  }

  private skipReason(submission: Submission): Admission | undefined {
    const { dispatcher } = this.modules;
    const skipped = (reason: SkipReason, detail: string): Admission => ({
      kind: "skipped",
      reason,
      detail,
    });
    if (this.isDraining) return skipped("draining", "the service is shutting down");
    if (!dispatcher.isUp) return skipped("no_prover", dispatcher.whyDown());
    const inWay = this.inFlight(submission);
    if (inWay !== undefined && !submission.shouldReplace) {
      const detail = `session ${inWay.id} of slot ${inWay.submission.slot} is in flight`;
      return { kind: "skipped", reason: "in_flight", detail, sessionId: inWay.id };
    }
    if (this.sessions.size >= limits.sessionsInFlightMax) {
      return skipped("overloaded", `${this.sessions.size} sessions are in flight`);
    }
    return this.overQuota(submission) ?? this.predictedMiss(submission);
  }

  private overQuota(submission: Submission): Admission | undefined {
    const { principal } = submission;
    const { clock, metrics } = this.modules;
    const usedMs = this.groupQueue.usageOfPrincipals.of(principal.name, clock.nowMs());
    const proverSecondsPerMinute = usedMs / 1000;
    const usage = { ...this.sessions.heldBy(principal.name), proverSecondsPerMinute };
    const broken = brokenQuota(principal, usage, bytesToHold(submission));
    if (broken === undefined) return undefined;
    metrics.overQuota.inc({ quota: broken.quota });
    return { kind: "skipped", reason: "overloaded", detail: broken.detail };
  }

  /** In every future, and only when a lane is busy: on an idle device that is judged at dispatch. */
  private predictedMiss(submission: Submission): Admission | undefined {
    const { receivedAtMs, deadlineAtMs } = submission;
    if (this.modules.dispatcher.isIdle) return undefined;
    const { startAtMs, finishAtMs, isInTime } = this.groupQueue.forecast(submission);
    if (isInTime) return undefined;
    const detail =
      startAtMs < deadlineAtMs
        ? "not even a part of one group could be proved before the fence"
        : "no group could start before the deadline";
    const predictedFinishMs = Math.round(finishAtMs - receivedAtMs);
    return { kind: "skipped", reason: "predicted_miss", detail, predictedFinishMs };
  }

  private inFlight({ nodeId, nodeEpoch, priority }: Submission): Session | undefined {
    const isInWay = ({ submission }: Session) =>
      submission.nodeEpoch === nodeEpoch && submission.priority === priority;
    return this.sessions.ofNode(nodeId).find(isInWay);
  }

  /** A new epoch ends all that its predecessor queued; `replace` ends the session in the way. */
  private supersedeOlder(submission: Submission): void {
    for (const session of this.sessions.ofNode(submission.nodeId)) {
      const { nodeEpoch, priority } = session.submission;
      const isOldEpoch = nodeEpoch !== submission.nodeEpoch;
      const isReplaced = submission.shouldReplace && priority === submission.priority;
      if (isOldEpoch || isReplaced) this.sessions.step(session, { kind: "supersede" });
    }
  }
}

/** The snapshot, and of every group that may be proved what it claims, and what comes of it. */
function bytesToHold({ bytes, groups }: Submission): number {
  const mayBeProved = groups.filter(({ isOverLimit }) => !isOverLimit);
  return mayBeProved.reduce((sum, { work }) => sum + claimBytes(work) + resultBytes(work), bytes);
}

/** A snapshot has each key once; here each input has its own. */
function claimBytes({ raws, children }: GroupWork): number {
  return [raws, ...children].reduce(
    (sum, { keys, validators }) => sum + keys.length + validators.length * VALIDATOR_BYTES,
    0,
  );
}

/** A proof, and every input named as left out. */
function resultBytes(work: GroupWork): number {
  const { raws, children } = shapeOf(work);
  return limits.proofBytesMax + (raws + children + work.leftOut.length) * limits.leftOutBytes;
}
