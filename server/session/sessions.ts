/**
 * The sessions in flight. Runs the state machine of each with its timers and effects, and writes
 * outcomes to the node's record. Admission opens sessions; admission and the schedule send
 * them events by `step`.
 */
import { createHash } from "node:crypto";
import { mergeForm } from "../../proto/merge-form.js";
import { assertNever } from "../errors.js";
import type { ActivityLog } from "../activity.js";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import type { MemoryShare } from "../memory-budget.js";
import type { Metrics } from "../metrics/metrics.js";
import type { AuditTrail } from "../audit/audit-log.js";
import type { Recorder } from "../recording/recorder.js";
import type { ProverDescription } from "../work/prover-description.js";
import { proofSystemOf } from "../work/prover-description.js";
import type { StopReason } from "../work/group.js";
import { keptBytes } from "../work/outcome-bytes.js";
import type { Submission } from "../work/submission.js";
import { toOutcome, toSummary } from "./outcome.js";
import { EndedShares } from "./ended-shares.js";
import type { AcceptedTimes, NodeRecord } from "./node-record.js";
import { heldBy } from "./held-by.js";
import { auditSession } from "./session-audit.js";
import { groupOf } from "./session.js";
import type { Session } from "./session.js";
import {
  type LaneOfAttempt,
  type StartedGroup,
  acceptedActivity,
  endedActivity,
  jobActivity,
  startedActivity,
} from "./session-activity.js";
import { logAccepted, logEnded, noteLeftOut } from "./session-log.js";
import type { SlotAggregates } from "./slot-aggregates.js";
import type { SessionEffect, SessionEvent } from "./session-state.js";
import { isEnded, queuedGroup, queuedIn, transitionSession } from "./session-state.js";
import { noVotes, sumOfVotes } from "./votes.js";

export interface SessionsModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  /** Undefined when nothing is recorded. */
  recorder?: Pick<Recorder, "ended"> | undefined;
  /** Counts the slots with an aggregate. */
  slots: SlotAggregates;
  /** Undefined when no audit record is kept. */
  audit?: AuditTrail | undefined;
  /** Undefined when nobody may look on. */
  activity?: ActivityLog | undefined;
  /** The lane on which an attempt runs; undefined once it has ended. */
  laneOf(attempt: number): LaneOfAttempt | undefined;
  /** Called when a session no longer waits for an attempt that runs. */
  leaveAttempt(attempt: number, session: Session, reason: StopReason): void;
}

/** What admission provides for the session of a snapshot that it accepts. */
export interface OpenSession {
  prover: ProverDescription;
  node: NodeRecord;
  accepted: AcceptedTimes;
  /** Memory reserved for the snapshot and its results. */
  share: MemoryShare;
  /** Whether a device was idle when the snapshot was accepted. */
  cameToIdle: boolean;
}

/** The sessions in flight with one proof system, as its schedule sees them. */
export interface SessionsOfSystem {
  /** The sessions with queued groups, in no order. */
  waiting(): Iterable<Session>;
  /** Number of queued groups; `changes` grows whenever one is added or removed. */
  readonly queued: Readonly<QueuedGroups>;
  /** As `Sessions.step`. */
  step(session: Session, event: SessionEvent): void;
  /** As `Sessions.willCharge`. */
  willCharge(session: Session): void;
  /** As `Sessions.charged`. */
  charged(session: Session, coreMs: number): void;
  /** As `Sessions.jobStarted`. */
  jobStarted(attempt: number, job: number): void;
}

interface QueuedGroups {
  groups: number;
  changes: number;
}

/** What is queued of one proof system. */
interface Queued extends QueuedGroups {
  readonly sessions: Set<Session>;
}

export class Sessions {
  private readonly inFlight = new Map<string, Session>();
  private readonly endWaiters = new Set<() => void>();
  private nextOrder = 1;
  /** What is queued, by the name of the proof system. */
  private readonly queued = new Map<string, Queued>();
  private readonly endedShares = new EndedShares();
  /** Ended sessions whose time is not charged yet: the attempts that they have left hold their snapshots. */
  private readonly unsettled = new Set<Session>();

  constructor(
    private readonly options: { instance: string },
    private readonly modules: SessionsModules,
  ) {}

  get size(): number {
    return this.inFlight.size;
  }

  get(sessionId: string): Session | undefined {
    return this.inFlight.get(sessionId);
  }

  all(): Session[] {
    return [...this.inFlight.values()];
  }

  /** The sessions with the proof system of this name. */
  ofSystem(system: string): SessionsOfSystem {
    const queued = this.queuedOf(system);
    return {
      waiting: () => queued.sessions,
      queued,
      step: (session, event) => this.step(session, event),
      willCharge: (session) => this.willCharge(session),
      charged: (session, coreMs) => this.charged(session, coreMs),
      jobStarted: (attempt, job) => this.jobStarted(attempt, job),
    };
  }

  /** Number of queued groups of all proof systems. */
  get queuedGroups(): number {
    return [...this.queued.values()].reduce((sum, { groups }) => sum + groups, 0);
  }

  /** Whether a session in flight has the proof system of this name. */
  hasSystem(system: string): boolean {
    return this.all().some((session) => session.system === system);
  }

  /** Forgets a proof system that no session in flight has. */
  forgetSystem(system: string): void {
    this.queued.delete(system);
  }

  ofNode(nodeId: string): Session[] {
    return this.all().filter(({ submission }) => submission.nodeId === nodeId);
  }

  /** See `heldBy`. */
  heldBy(principal: string, superseded: readonly Session[]) {
    const endedBytes = this.endedShares.heldBy(principal);
    const held = { inFlight: this.all(), unsettled: [...this.unsettled], endedBytes };
    return heldBy(principal, held, superseded);
  }

  /** Opens the session of an accepted snapshot, with every group queued, and starts its timers. */
  open(submission: Submission, opened: OpenSession): Session {
    const { clock, metrics } = this.modules;
    const { prover, node, accepted, share, cameToIdle } = opened;
    const { nodeEpoch, contentDigest, receivedAtMs, deadlineAtMs, fenceAtMs, groups } = submission;
    const order = this.nextOrder++;
    const name = `${this.options.instance}/${order}`;
    const id = createHash("sha256").update(name).digest("hex").slice(0, 16);
    const identity = { sessionId: id, requestId: submission.requestId || freeId(node, id) };
    const asked = { nodeEpoch, contentDigest, receivedAtMs, fenceAtMs, accepted };
    const session: Session = {
      id,
      order,
      submission,
      prover,
      system: proofSystemOf(prover),
      node,
      request: node.add({ ...identity, ...asked, groups: groups.length }),
      state: { deadlineAtMs, fenceAtMs, groups: groups.map(() => queuedGroup) },
      cameToIdle,
      startedAtMs: new Map(),
      attempts: new Map(),
      counts: new Map(),
      cancelTimers: [],
      share,
      votes: noVotes(submission.steps),
      leftOut: new Map(),
      fates: new Map(),
      coreMs: 0,
      uncharged: 0,
      endedAtMs: undefined,
      proofBytes: 0,
      keptBytes: limits.recordBytes,
    };
    this.inFlight.set(session.id, session);
    this.queueChanged(session, groups.length);
    metrics.sessionsInFlight.set(this.inFlight.size);
    session.cancelTimers.push(
      clock.at(deadlineAtMs, () => this.step(session, { kind: "deadline" })),
      clock.at(fenceAtMs, () => this.step(session, { kind: "fence" })),
    );
    this.modules.slots.opened(submission);
    logAccepted(this.modules.log, session);
    this.modules.activity?.add(acceptedActivity(session, clock.nowMs()));
    return session;
  }

  /** Passes an event to the session's state machine and runs the effects; none if it has ended. */
  step(session: Session, event: SessionEvent): void {
    if (isEnded(session.state)) return;
    const nowMs = this.modules.clock.nowMs();
    const { state, effects } = transitionSession(session.state, event, nowMs);
    const queued = queuedIn(state) - queuedIn(session.state);
    session.state = state;
    this.queueChanged(session, queued);
    if (event.kind === "started") {
      const { startedAtMs, attempts } = session;
      if (!startedAtMs.has(event.group)) startedAtMs.set(event.group, nowMs);
      attempts.set(event.group, (attempts.get(event.group) ?? 0) + 1);
      this.noteStarted(session, event, nowMs);
    }
    for (const effect of effects) this.apply(session, effect);
  }

  private noteStarted({ id, request }: Session, started: StartedGroup, atMs: number): void {
    const { log, activity, laneOf } = this.modules;
    const { group, attempt } = started;
    log.debug({ session: id, request: request.requestId, group, attempt }, "group started");
    activity?.add(startedActivity(id, started, laneOf(attempt), atMs));
  }

  /** A lane has a job of the tree of this attempt, which groups of sessions wait for. */
  jobStarted(attempt: number, job: number): void {
    const { activity, clock, laneOf } = this.modules;
    activity?.add(jobActivity(attempt, job, laneOf(job), clock.nowMs()));
  }

  /** An attempt at one of the session's groups has begun; `charged` follows once it has ended. */
  willCharge(session: Session): void {
    session.uncharged++;
  }

  /** Charges the session its share of an attempt that has ended, in core-milliseconds. */
  charged(session: Session, coreMs: number): void {
    session.coreMs += coreMs;
    session.uncharged--;
    this.settle(session);
  }

  /** Resolves when no session is in flight, or after `boundMs` milliseconds. */
  async untilEmpty(boundMs: number): Promise<void> {
    if (this.inFlight.size === 0) return;
    const { clock } = this.modules;
    await new Promise<void>((resolve) => {
      const cancel = clock.at(clock.nowMs() + boundMs, resolve);
      this.endWaiters.add(() => {
        if (this.inFlight.size > 0) return;
        cancel();
        resolve();
      });
    });
  }

  /** Releases the memory of ended sessions: of proofs at the fence, of the rest once forgotten. */
  expire(): void {
    const nowMs = this.modules.clock.nowMs();
    this.modules.slots.expire(nowMs);
    this.endedShares.expire(nowMs);
  }

  /** Once all prover time of a session that has ended is charged: audits it, and holds its results alone. */
  private settle(session: Session): void {
    if (session.uncharged > 0 || session.endedAtMs === undefined) return;
    const { metrics, audit } = this.modules;
    this.unsettled.delete(session);
    this.endedShares.add(session);
    metrics.coreSeconds.inc(Math.round(session.coreMs) / 1000);
    auditSession(audit, session);
  }

  private queueChanged(session: Session, by: number): void {
    if (by === 0) return;
    const queued = this.queuedOf(session.system);
    if (queuedIn(session.state) > 0) queued.sessions.add(session);
    else queued.sessions.delete(session);
    queued.groups += by;
    queued.changes++;
  }

  private queuedOf(system: string): Queued {
    const known = this.queued.get(system);
    if (known !== undefined) return known;
    const queued = { sessions: new Set<Session>(), groups: 0, changes: 0 };
    this.queued.set(system, queued);
    return queued;
  }

  private apply(session: Session, effect: SessionEffect): void {
    switch (effect.kind) {
      case "stop":
        return this.modules.leaveAttempt(effect.attempt, session, effect.reason);
      case "end":
        return this.endGroup(session, effect);
      case "summary":
        return this.endSession(session);
      default:
        return assertNever(effect);
    }
  }

  private endGroup(session: Session, effect: Extract<SessionEffect, { kind: "end" }>): void {
    const { clock, metrics, recorder, log, activity } = this.modules;
    const { id, node, request, submission, startedAtMs } = session;
    const { group, ending } = effect;
    const decoded = groupOf({ session, group });
    const queuedUntilMs = startedAtMs.get(group) ?? clock.nowMs();
    const { outcome, status, counted, votes } = toOutcome({
      requestId: request.requestId,
      slot: submission.slot,
      groupIndex: group,
      decoded,
      ending,
      description: session.prover,
      queueMs: queuedUntilMs - submission.receivedAtMs,
      attempts: session.attempts.get(group) ?? 0,
      steps: submission.steps,
      endedAtMs: clock.nowMs(),
    });
    if (ending.kind === "stopped" && ending.reason === "fence") metrics.fenced.inc();
    metrics.outcomes.inc({ status });
    const form = mergeForm(decoded.claims);
    if (form !== undefined) {
      metrics.merges.inc({ form, status });
      const readyMs = clock.nowMs() - submission.receivedAtMs;
      if (outcome.proof.length > 0) metrics.mergeSeconds.observe({ form }, readyMs / 1000);
    }
    for (const { labels, count } of counted) {
      if (form === undefined) {
        metrics.votes.inc(labels, count);
        session.fates.set(labels.fate, (session.fates.get(labels.fate) ?? 0) + count);
      }
      noteLeftOut(session.leftOut, labels, count);
    }
    session.votes = sumOfVotes(session.votes, votes);
    const { requestId } = request;
    const { queueMs, proveMs } = outcome;
    const line = { session: id, request: requestId, group, status, queueMs, proveMs };
    log.debug(line, "group ended");
    session.proofBytes += outcome.proof.length;
    session.keptBytes += keptBytes(outcome);
    session.counts.set(status, (session.counts.get(status) ?? 0) + 1);
    recorder?.ended({ nodeId: submission.nodeId, requestId, outcome, group: decoded });
    activity?.add(endedActivity(session, outcome, clock.nowMs()));
    node.append(requestId, { kind: "outcome", outcome });
  }

  private endSession(session: Session): void {
    const { clock, metrics, log } = this.modules;
    const { id, submission, node, request } = session;
    const { requestId } = request;
    const durationMs = clock.nowMs() - submission.receivedAtMs;
    const counts = Object.fromEntries(session.counts);
    const ended = { ...submission, requestId, votes: session.votes };
    const summary = toSummary(ended, counts, durationMs);
    for (const cancel of session.cancelTimers) cancel();
    this.inFlight.delete(id);
    this.unsettled.add(session);
    metrics.sessionsInFlight.set(this.inFlight.size);
    metrics.sessionSeconds.observe(durationMs / 1000);
    node.append(requestId, { kind: "summary", summary });
    logEnded(log, session, durationMs, counts);
    this.modules.slots.ended(session);
    session.endedAtMs = clock.nowMs();
    this.settle(session);
    for (const wake of [...this.endWaiters]) wake();
  }
}

/** A request id for a request without one: the session's id, which no earlier request has. */
function freeId(node: NodeRecord, sessionId: string): string {
  let id = sessionId;
  while (node.get(id) !== undefined) id += "_";
  return id;
}
