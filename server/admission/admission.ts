/**
 * Decides once what becomes of a submitted snapshot: it gets the answer of an earlier request with
 * the same id, is skipped, or is accepted as a session whose groups enter the schedule. The RPC
 * handlers also find, cancel and drain sessions here. Every method but `drain` is synchronous.
 */
import { brokenQuota } from "../access/quota.js";
import type { ActivityLog } from "../activity.js";
import type { AuditTrail } from "../audit/audit-log.js";
import type { Clock } from "../clock.js";
import { cut, invalid, quoted, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import type { MemoryBudget, MemoryShare } from "../memory-budget.js";
import type { Metrics } from "../metrics/metrics.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Recorder } from "../recording/recorder.js";
import type { Dispatcher } from "../schedule/dispatcher.js";
import type { Forecast } from "../schedule/forecast/admission-forecast.js";
import type { Schedule } from "../schedule/schedule.js";
import type { Schedules } from "../schedule/schedules.js";
import type { NodeRecord, RequestRecord } from "../session/node-record.js";
import { Nodes } from "../session/nodes.js";
import { auditSkip } from "../session/session-audit.js";
import { SlotAggregates } from "../session/slot-aggregates.js";
import { isWaiting } from "../session/session.js";
import type { Session } from "../session/session.js";
import { Sessions } from "../session/sessions.js";
import { mayStart } from "../work/group.js";
import type { DecodedGroup } from "../work/group.js";
import { shapeOf } from "../work/shape.js";
import type { Envelope, SubmitAnswer, Submission } from "../work/submission.js";
import { askedSchedule } from "./asked-schedule.js";
import { bytesToHold } from "./bytes-to-hold.js";
import { NodeSnapshots } from "./node-snapshots.js";
import { predictedMiss, skipped, skipReasonOnWire } from "./skip-reason.js";
import type { Skipped } from "./skip-reason.js";

export interface AdmissionModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  /** Not started yet. */
  schedules: Schedules;
  memory: MemoryBudget;
  /** Undefined when nothing is recorded. */
  recorder?: Pick<Recorder, "ended"> | undefined;
  /** What the operator's live view shows; undefined when nobody may look on. */
  activity?: ActivityLog | undefined;
  /** Undefined when no audit record is kept. */
  audit?: AuditTrail | undefined;
}

/** What a node uses of the service. */
export interface NodeUse {
  nodeId: string;
  /** Prover time used lately, in milliseconds: see `Accounts`. */
  usedMs: number;
  sessionsInFlight: number;
}

const NO_TIME_LEFT =
  "deadline_ms or fence_ms is 0, and no earlier request with this request_id was answered";

export class Admission {
  private readonly nodes: Nodes;
  private readonly sessions: Sessions;
  private readonly nodeSnapshots: NodeSnapshots;
  private readonly slots: SlotAggregates;
  private isDraining = false;

  constructor(
    options: { instance: string },
    private readonly modules: AdmissionModules,
  ) {
    const { clock, log, metrics, schedules, recorder, activity, audit } = modules;
    const nowMs = () => clock.nowMs();
    this.nodeSnapshots = new NodeSnapshots({ metrics, nowMs });
    metrics.draining.readBy(() => (this.isDraining ? 1 : 0));
    this.nodes = new Nodes(nowMs);
    this.slots = new SlotAggregates((ready) => metrics.slots.inc({ ready }));
    this.sessions = new Sessions(options, {
      clock,
      log,
      metrics,
      recorder,
      activity,
      audit,
      slots: this.slots,
      laneOf: (attempt) => schedules.laneOf(attempt),
      leaveAttempt: (attempt, session, reason) =>
        schedules.of(session).queue.leave(attempt, session, reason),
    });
    metrics.groupsWaiting.readBy(() => this.groupsWaiting);
    schedules.start(this.sessions, modules.memory);
  }

  /**
   * Returns the answer to a snapshot: the earlier answer if the node has used this request id for
   * the same content. Throws a `Refusal` when the id was used for other content, when the node is
   * new and the maximum number of nodes is reached, and when a later run of the node has called.
   * Errors of `decode` pass through.
   *
   * @param decode decodes the snapshot's groups; called at most once, and only if the snapshot is
   * not answered or skipped without them
   */
  submit(
    envelope: Envelope,
    decode: (prover: ProverDescription) => readonly DecodedGroup[],
  ): SubmitAnswer {
    const { nodeId, nodeEpoch } = envelope;
    const known = this.nodes.find(nodeId);
    if (known !== undefined) this.enterEpoch(known, nodeId, nodeEpoch);
    const answer = this.earlier(envelope) ?? this.decide(envelope, decode);
    if (answer.kind === "skipped") this.noteSkipped(envelope, answer);
    return answer;
  }

  private noteSkipped(envelope: Envelope, { reason, detail }: Skipped): void {
    const { metrics, log, activity, clock, audit } = this.modules;
    const { nodeId, slot } = envelope;
    auditSkip(audit, envelope, reason);
    this.slots.skipped(envelope, reason);
    metrics.skips.inc({ reason });
    log.debug({ node: nodeId, slot: String(slot), reason, detail }, "snapshot skipped");
    this.nodeSnapshots.count(nodeId, "skipped");
    if (activity === undefined) return;
    const { requestId, receivedAtMs, traceparent = "" } = envelope;
    const why = { reason: skipReasonOnWire[reason], detail: cut(detail) };
    const value = { nodeId, slot, ...why, requestId, receivedAtMs, traceparent };
    activity.add({ atMs: clock.nowMs(), event: { case: "skipped", value } });
  }

  /** The record of a node, made on first use. Throws a `Refusal` at the maximum number of nodes. */
  node(nodeId: string): NodeRecord {
    return this.nodes.get(nodeId);
  }

  /**
   * Like `node`, for a call of a run of the node that follows its results. An epoch that is higher
   * than all before ends the sessions of earlier runs. Throws a `Refusal` for a lower one.
   */
  enter(nodeId: string, nodeEpoch: bigint): NodeRecord {
    const node = this.nodes.get(nodeId);
    this.enterEpoch(node, nodeId, nodeEpoch);
    return node;
  }

  /** A request of the node. Throws a `Refusal` if the node has no request of this id. */
  request(nodeId: string, requestId: string): RequestRecord {
    const request = this.nodes.find(nodeId)?.get(requestId);
    if (request !== undefined) return request;
    const detail = `no request ${quoted(requestId)} of this node`;
    throw new Refusal("not_found", "request_id", detail);
  }

  /**
   * Ends the groups of these indices in the node's request; an empty list means all. Returns the
   * request; one that has ended is returned unchanged. Throws a `Refusal` for an unknown request or
   * an index that it does not have.
   */
  cancel(nodeId: string, requestId: string, groups: readonly number[]): RequestRecord {
    const request = this.request(nodeId, requestId);
    const session = this.sessions.get(request.sessionId);
    if (session !== undefined) this.cancelGroups(session, groups);
    return request;
  }

  /** For the operator: every session that has not ended, of any node. */
  listSessions(): readonly Session[] {
    return this.sessions.all();
  }

  /** Number of groups that wait for a prover. */
  get groupsWaiting(): number {
    return this.sessions.queuedGroups;
  }

  /** For the operator: the nodes that use the service now, or have done so lately, by id. */
  nodesInUse(): NodeUse[] {
    const sessions = new Map<string, number>();
    for (const { submission } of this.sessions.all()) {
      sessions.set(submission.nodeId, (sessions.get(submission.nodeId) ?? 0) + 1);
    }
    const { clock, schedules } = this.modules;
    const { nodes } = schedules.accounts;
    return this.nodes
      .ids()
      .map((nodeId) => {
        const usedMs = nodes.of(nodeId, clock.nowMs());
        return { nodeId, usedMs, sessionsInFlight: sessions.get(nodeId) ?? 0 };
      })
      .filter(({ usedMs, sessionsInFlight }) => usedMs > 0 || sessionsInFlight > 0)
      .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  /** For the operator: ends a session of any node. Returns false if no such one is in flight. */
  endSession(sessionId: string): boolean {
    const session = this.sessions.get(sessionId);
    session?.node.forgetKills();
    if (session !== undefined) this.cancelGroups(session, []);
    return session !== undefined;
  }

  /** For the operator: whether the record of any node still has the session. */
  retains(sessionId: string): boolean {
    return this.nodes.all().some((node) => node.ofSession(sessionId) !== undefined);
  }

  /** Erases proofs past their fence, and drops what is kept no longer. Called by a timer. */
  expire(): void {
    this.nodes.expire();
    this.modules.schedules.expire();
    this.sessions.expire();
  }

  get draining(): boolean {
    return this.isDraining;
  }

  /**
   * From now on skips new snapshots. Ends queued groups at once, and running groups after
   * `boundMs` milliseconds. Resolves once every session has ended.
   */
  async drain(boundMs: number): Promise<void> {
    this.isDraining = true;
    for (const session of this.sessions.all()) this.sessions.step(session, { kind: "drain" });
    await this.sessions.untilEmpty(boundMs);
    for (const session of this.sessions.all()) this.sessions.step(session, { kind: "drained" });
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

  private decide(
    envelope: Envelope,
    decode: (prover: ProverDescription) => readonly DecodedGroup[],
  ): SubmitAnswer {
    const { schedules, memory } = this.modules;
    if (envelope.isLookup === true) return skipped("predicted_miss", NO_TIME_LEFT);
    if (this.isDraining) return skipped("draining", "the service is shutting down");
    if (envelope.fenceAtMs <= this.modules.clock.nowMs()) {
      return skipped("predicted_miss", "the fence had passed when the request was whole");
    }
    const schedule = askedSchedule(schedules, envelope);
    if (schedule === undefined) return skipped("no_prover", schedules.whyDown());
    const { dispatcher, queue, prover } = schedule;
    if (!dispatcher.isUp) {
      const isDefault = schedule === schedules.default;
      return skipped("no_prover", (isDefault ? schedules : dispatcher).whyDown());
    }
    const submission: Submission = { ...envelope, groups: decode(prover) };
    const inWay = this.inWayOf(submission, schedule);
    // Their queued groups end when this snapshot is accepted.
    const superseded = submission.shouldReplace ? inWay : [];
    const skip = this.inFlight(submission, inWay) ?? this.overQuota(submission, superseded);
    if (skip !== undefined) return skip;
    queue.heard(submission);
    const forecast = queue.forecast(submission, superseded);
    // With an idle device for it the forecast does not decide: the lane itself decides what it can start. But
    // what would miss ends nothing that waits.
    const isLeftToLane = forecast.hasIdleLane && !superseded.some(isWaiting);
    if (!isLeftToLane && !forecast.isInTime) return predictedMiss(submission, forecast);

    const node = this.enter(submission.nodeId, submission.nodeEpoch);
    const share = memory.reserve(bytesToHold(submission));
    if (share === undefined) {
      const detail = `${memory.heldBytes} bytes are held, and the snapshot and its results do not fit`;
      return skipped("overloaded", detail);
    }
    for (const session of superseded) this.sessions.step(session, { kind: "supersede" });
    return this.accept(submission, schedule, { node, share, forecast });
  }

  private accept(
    submission: Submission,
    { dispatcher, queue, prover }: Schedule,
    { node, share, forecast }: { node: NodeRecord; share: MemoryShare; forecast: Forecast },
  ): SubmitAnswer {
    const { clock, metrics } = this.modules;
    // The session may join an attempt that has already run for longer than predicted.
    const ownMs = predictedMs(submission, dispatcher);
    const finishAtMs = Math.max(clock.nowMs(), forecast.startAtMs + ownMs);
    const predictedFinishMs = Math.round(finishAtMs - submission.receivedAtMs);
    const accepted = { ...submission.accepted, predictedFinishMs };
    const cameToIdle = forecast.hasIdleLane;
    const session = this.sessions.open(submission, { prover, node, accepted, share, cameToIdle });
    metrics.accepted.inc();
    this.nodeSnapshots.count(submission.nodeId, "accepted");
    queue.enter(session);
    dispatcher.wake();
    return this.acceptedAnswer(session.request, 0);
  }

  /**
   * The answer to the earlier request of this id; undefined for a new or an empty id. Throws a
   * `Refusal` if the earlier request had other content.
   */
  private earlier({ nodeId, requestId, contentDigest, receivedAtMs }: Envelope) {
    const request = this.nodes.find(nodeId)?.get(requestId);
    if (request === undefined) return undefined;
    if (request.contentDigest !== contentDigest) {
      throw invalid("request_id", `${requestId} was used for a request with other content`);
    }
    return this.acceptedAnswer(request, receivedAtMs - request.receivedAtMs);
  }

  /** @param ageMs milliseconds from the receipt of the accepted try to that of the answered one */
  private acceptedAnswer(request: RequestRecord, ageMs: number): SubmitAnswer {
    const { requestId, accepted } = request;
    const left = (ms: number) => Math.max(0, Math.floor(ms - ageMs));
    const { deadlineMs, fenceMs, deadlineSource, predictedFinishMs } = accepted;
    return {
      kind: "accepted",
      accepted: {
        requestId,
        deadlineMs: left(deadlineMs),
        fenceMs: left(fenceMs),
        deadlineSource,
        predictedFinishMs: left(predictedFinishMs),
      },
    };
  }

  private inFlight(submission: Submission, inWay: readonly Session[]): Skipped | undefined {
    // Of a session of which nothing waits, nothing is replaced.
    const begun = inWay.filter((each) => !isWaiting(each)).slice(limits.begunSessionsMax - 1);
    const [kept] = submission.shouldReplace ? begun : inWay;
    if (kept !== undefined) {
      const { requestId } = kept.request;
      const detail = `request ${requestId} of slot ${kept.submission.slot} is in flight`;
      return { ...skipped("in_flight", detail), inFlightRequestId: requestId };
    }
    if (this.sessions.size < limits.sessionsInFlightMax) return undefined;
    return skipped("overloaded", `${this.sessions.size} sessions are in flight`);
  }

  private overQuota(submission: Submission, superseded: readonly Session[]): Skipped | undefined {
    const { principal } = submission;
    const { clock, metrics, schedules } = this.modules;
    const usedMs = schedules.accounts.principals.of(principal.name, clock.nowMs());
    const proverSecondsPerMinute = usedMs / 1000;
    const usage = { ...this.sessions.heldBy(principal.name, superseded), proverSecondsPerMinute };
    const broken = brokenQuota(principal, usage, bytesToHold(submission));
    if (broken === undefined) return undefined;
    metrics.overQuota.inc({ quota: broken.quota });
    return skipped("overloaded", broken.detail);
  }

  /**
   * The sessions of this run of the node with the snapshot's priority, kind and proof system: one may
   * be in flight, and beside it a few that were being proved when it replaced others. A merge that is made
   * ahead is never in the way of a vote's aggregate.
   */
  private inWayOf(
    { nodeId, nodeEpoch, priority, groups }: Submission,
    { name: system }: Schedule,
  ): Session[] {
    const kind = groups[0]?.work.kind;
    return this.sessions.ofNode(nodeId).filter(({ system: theirs, submission: each }) => {
      const isSameKind = each.groups[0]?.work.kind === kind && theirs === system;
      return each.nodeEpoch === nodeEpoch && each.priority === priority && isSameKind;
    });
  }

  private enterEpoch(node: NodeRecord, nodeId: string, nodeEpoch: bigint): void {
    if (!node.enterEpoch(nodeEpoch)) return;
    for (const session of this.sessions.ofNode(nodeId)) {
      const { nodeEpoch: own } = session.submission;
      if (own !== 0n && own < nodeEpoch) this.sessions.step(session, { kind: "outdate" });
    }
  }
}

/** Predicted milliseconds for proving all groups on one lane, one after the other. */
function predictedMs({ groups }: Submission, dispatcher: Dispatcher): number {
  return groups
    .filter(mayStart)
    .reduce((sum, { work }) => sum + dispatcher.predictMs(shapeOf(work)), 0);
}
