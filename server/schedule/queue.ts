/**
 * The dispatcher's source of work: takes in the groups of accepted sessions, hands out the next
 * attempt, and decides when backlog is preempted. The groups that wait are in `waiting.ts`, the
 * attempts that run in `attempts.ts`, and the predictions in `admission-forecast.ts`.
 */
import type { Clock } from "../clock.js";
import type { MemoryBudget } from "../memory-budget.js";
import { limits } from "../limits.js";
import type { Metrics } from "../metrics/metrics.js";
import { groupOf } from "../session/session.js";
import type { Session } from "../session/session.js";
import type { SessionsOfSystem } from "../session/sessions.js";
import { mayStart } from "../work/group.js";
import type { ProofResult, StopReason } from "../work/group.js";
import { AGGREGATION, BACKLOG } from "../work/priority.js";
import { messagesOf } from "../work/shape.js";
import type { Submission } from "../work/submission.js";
import { AdmissionForecast } from "./forecast/admission-forecast.js";
import type { Forecast } from "./forecast/admission-forecast.js";
import { hasWaiterOf, isBacklog } from "./attempt/attempt.js";
import type { Plan } from "./attempt/attempt.js";
import { Attempts } from "./attempt/attempts.js";
import type { Dispatcher, NextAttempt, AttemptSource } from "./dispatcher.js";
import { GroupWorths } from "./forecast/group-worths.js";
import type { AdoptableWork } from "./lane-handle.js";
import { isTurnOfAhead, isTurnOfBacklog, neverOvertaken, takeNext } from "./order.js";
import type { TimesOvertaken } from "./order.js";
import { preemption } from "./preemption.js";
import type { Urgent } from "./preemption.js";
import { Trees } from "./attempt/trees.js";
import type { Accounts } from "./usage.js";
import { VoteRhythm } from "./forecast/vote-rhythm.js";
import { Waiting } from "./waiting.js";
import type { WaitingGroup } from "./waiting.js";

/** Share of a merge's expected worth that it loses at most when it is held for `limits.replaceMs`. */
const REPLACE_LOSS = 0.1;

export interface GroupQueueModules {
  clock: Clock;
  metrics: Metrics;
  dispatcher: Dispatcher;
  accounts: Accounts;
  /** The sessions in flight with the schedule's proof system, and their state machine. */
  sessions: SessionsOfSystem;
  /** Holds the proofs of trees until they are folded. */
  memory: MemoryBudget;
}

export class GroupQueue implements AttemptSource {
  private readonly waiting: Waiting;
  private readonly attempts: Attempts;
  private readonly trees: Trees;
  private readonly forecasts: AdmissionForecast;
  private readonly worths: GroupWorths;
  private readonly votes = new VoteRhythm();
  private timesOvertaken: TimesOvertaken = neverOvertaken;
  private cancelLook = () => {};
  private votesProvedAtMs = -Infinity;
  /** When a merge that gives way is looked at again; Infinity for none. */
  private heldUntilMs = Infinity;
  private cancelHold = () => {};

  constructor(private readonly modules: GroupQueueModules) {
    const { clock, metrics, dispatcher, accounts, sessions, memory } = modules;
    const worths = new GroupWorths((shape) => dispatcher.durationOf(shape));
    this.worths = worths;
    this.waiting = new Waiting({ clock, dispatcher, accounts, worths, sessions });
    const kill = (attemptId: number, reason: StopReason) => {
      if (!this.trees.stop(attemptId, reason)) dispatcher.kill(attemptId, reason);
    };
    const letGo = (attemptId: number) => this.trees.letGo(attemptId);
    const lanes = { dispatcher, kill, letGo };
    this.attempts = new Attempts({ clock, metrics, accounts, worths, sessions, ...lanes });
    const { waiting, attempts } = this;
    const wake = () => dispatcher.wake();
    const finished = (attemptId: number, result: ProofResult) => this.finished(attemptId, result);
    this.trees = new Trees({
      clock,
      metrics,
      dispatcher,
      memory,
      worths,
      attempts,
      finished,
      wake,
    });
    const { trees } = this;
    this.forecasts = new AdmissionForecast({ clock, dispatcher, waiting, attempts, trees });
  }

  /** Notes a snapshot that came, whether it is accepted or skipped: by that votes are expected. */
  heard(submission: Submission): void {
    this.votes.heard(submission, this.modules.clock.nowMs());
  }

  /** When a snapshot that arrives now could start and finish once the superseded groups end. */
  forecast(submission: Submission, superseded: readonly Session[]): Forecast {
    return this.forecasts.of(submission, superseded);
  }

  /**
   * Takes in the groups of a new session. Some end at once: those over the limit, merges without all
   * their inputs, and those set aside. Some join an attempt in progress at the same work. The rest wait.
   */
  enter(session: Session): void {
    const { sessions } = this.modules;
    session.submission.groups.forEach((decoded, group) => {
      const { isOverLimit, digest, work } = decoded;
      if (isOverLimit) {
        sessions.step(session, { kind: "refused", group, reason: "limit" });
      } else if (!mayStart(decoded)) {
        sessions.step(session, { kind: "rejected", group, leftOut: work.leftOut });
      } else if (this.attempts.isSetAside(digest)) {
        sessions.step(session, { kind: "refused", group, reason: "set_aside" });
      } else {
        this.attempts.joinRunning({ session, group });
      }
    });
  }

  get hasWaiting(): boolean {
    return this.waiting.size > 0 || this.trees.hasReady;
  }

  /** How far the attempt is, in jobs that are done; undefined for an attempt at one job. */
  progressOf(attemptId: number): { done: number; jobs: number } | undefined {
    return this.trees.progressOf(attemptId);
  }

  /** The attempt at the whole group, for its own number or that of a job of its tree. */
  wholeOf(number: number): number {
    return this.attempts.wholeOf(number);
  }

  adopt(offered: AdoptableWork): NextAttempt | undefined {
    const job = this.trees.adopt(offered);
    if (job !== undefined) return job;
    if (!this.waiting.hasDigest(offered.digest)) return undefined;
    const plan = this.attempts.planAdoption(this.waiting.withDigest(offered.digest), offered);
    if (plan === undefined) return undefined;
    if (offered.isRunning) this.noteAdoption(plan);
    return this.attemptOf(plan);
  }

  /** A merge made ahead is overtaken by votes that another door has begun, as by those of this one. */
  private noteAdoption(plan: Plan): void {
    const isVotes = plan.leader.work.kind === "fold" && hasWaiterOf(plan, AGGREGATION);
    if (!isVotes || !this.waiting.all().some(({ isAhead }) => isAhead)) return;
    const { backlog, ahead } = this.timesOvertaken;
    this.timesOvertaken = { backlog, ahead: ahead + 1 };
  }

  next(messagesMax: number, isLastLane: boolean): NextAttempt | undefined {
    const turn = this.takeTurnOfBacklog();
    if (turn !== undefined) return turn;
    const fitting = this.waiting.all().filter(({ shape }) => messagesOf(shape) <= messagesMax);
    const leastUrgent = isLastLane ? this.leastUrgent(fitting) : BACKLOG;
    const isSuited = (each: WaitingGroup) => each.priority <= leastUrgent && !this.givesWay(each);
    const { queued } = this.modules.sessions;
    const { changes } = queued;
    const suited = isLastLane ? fitting.filter(isSuited) : fitting;
    // One was refused: the next group of its session waits in its place.
    if (queued.changes !== changes) return this.next(messagesMax, isLastLane);
    const waiting = [...fitting, ...this.trees.waiting()];
    const taken = takeNext(suited, this.timesOvertaken, waiting);
    // What has begun is worth finishing: a job of a tree comes before groups of its class.
    const priority = taken?.next.priority ?? leastUrgent;
    const job = taken?.isBacklogTurn === true ? undefined : this.trees.next(priority);
    if (taken === undefined || job !== undefined) return job;
    this.timesOvertaken = taken.timesOvertaken;
    const { waiter } = taken.next;
    const plan = this.attempts.plan(waiter, this.waiting.sharing(waiter), {
      isBacklogTurn: taken.isBacklogTurn,
      mayExplore: !isLastLane || this.untilVotesMs(taken.next) === undefined,
    });
    return this.trees.begin(plan) ?? this.attemptOf(plan);
  }

  /** The next job of a tree of backlog, which takes backlog's turn; undefined when it is not its turn. */
  private takeTurnOfBacklog(): NextAttempt | undefined {
    if (!isTurnOfBacklog(this.timesOvertaken)) return undefined;
    const job = this.trees.nextInTurn();
    if (job !== undefined) this.timesOvertaken = { ...this.timesOvertaken, backlog: 0 };
    return job;
  }

  /** The last idle lane stays free for what replaces a merge: backlog would be preempted by it. */
  private leastUrgent(waiting: readonly WaitingGroup[]): number {
    if (isTurnOfBacklog(this.timesOvertaken)) return BACKLOG;
    return waiting.some((each) => this.mayBeReplaced(each)) ? AGGREGATION : BACKLOG;
  }

  /**
   * Whether this merge waits: for one that may replace it, or for expected votes. One of several messages that
   * would be late after them is refused, in its turn too, so that its node asks for fewer: those have the turn,
   * and cost fewer votes. One that would be late even now is left to the lane, which ends it.
   */
  private givesWay(merge: WaitingGroup): boolean {
    if (this.mayBeReplaced(merge)) return true;
    const { waiter, shape, worthPerMs } = merge;
    const untilMs = this.untilVotesMs(merge);
    if (untilMs === undefined) return false;
    const { session, group } = waiter;
    const isLateThen = this.worths.best(session.submission, groupOf(waiter), untilMs) === undefined;
    if (isLateThen && messagesOf(shape) > 1) {
      this.modules.sessions.step(session, { kind: "refused", group, reason: "predicted_miss" });
      return true;
    }
    if (worthPerMs === 0 || isTurnOfAhead(this.timesOvertaken)) return false;
    this.heldUntilMs = Math.min(this.heldUntilMs, untilMs);
    return true;
  }

  /** Whether votes were proved just now, while this merge waited, so that its node may replace it. */
  private mayBeReplaced(merge: WaitingGroup): boolean {
    const untilMs = this.replaceableUntilMs(merge);
    if (untilMs === undefined) return false;
    this.heldUntilMs = Math.min(this.heldUntilMs, untilMs);
    return true;
  }

  /** Until when its node may replace this merge; undefined: it waits for no other. */
  private replaceableUntilMs({ waiter, isAhead }: WaitingGroup): number | undefined {
    if (!isAhead || isTurnOfAhead(this.timesOvertaken)) return undefined;
    const { submission } = waiter.session;
    const nowMs = this.modules.clock.nowMs();
    const untilMs = this.votesProvedAtMs + limits.replaceMs;
    const hasWaited = submission.receivedAtMs <= this.votesProvedAtMs;
    if (!submission.shouldReplace || !hasWaited || nowMs >= untilMs) return undefined;
    const worthAt = (atMs: number) =>
      this.worths.best(submission, groupOf(waiter), atMs)?.worth ?? 0;
    return worthAt(untilMs) > (1 - REPLACE_LOSS) * worthAt(nowMs) ? untilMs : undefined;
  }

  /** Whether this merge would wait on the lane that is freed for it, or be refused: see `givesWay`. */
  private wouldGiveWay(each: WaitingGroup): boolean {
    if (this.replaceableUntilMs(each) !== undefined) return true;
    return !isTurnOfAhead(this.timesOvertaken) && this.untilVotesMs(each) !== undefined;
  }

  /** When votes are expected that would have to wait for this merge; undefined: none. */
  private untilVotesMs({ isAhead, shape }: WaitingGroup): number | undefined {
    if (!isAhead) return undefined;
    const { clock, dispatcher } = this.modules;
    return this.votes.expectedWithin(dispatcher.pessimisticMs(shape), clock.nowMs())?.untilMs;
  }

  private attemptOf(plan: Plan): NextAttempt {
    return {
      ...plan.assignment,
      started: (attemptId) => this.attempts.start(attemptId, plan),
      finished: (attemptId, result) => this.finished(attemptId, result),
      lost: (attemptId, isIgnored) => this.attempts.lost(attemptId, isIgnored),
    };
  }

  /**
   * Preempts backlog if the next group of a higher class would lose by waiting for it. If a lane may
   * still come free in time, decides again later, by a timer.
   */
  offered(): void {
    const { clock, dispatcher } = this.modules;
    this.lookAgainAtHeld();
    this.cancelLook();
    if (!this.hasWaiting || !this.attempts.hasPreemptible()) return;
    const urgent = this.urgent();
    if (urgent === undefined) return;
    const lanes = dispatcher.outlook().filter(({ messagesMax }) => urgent.messages <= messagesMax);
    const decision = preemption(clock.nowMs(), urgent, lanes, (attemptId) =>
      this.attempts.isPreemptible(attemptId),
    );
    if (decision.kind === "look_again") {
      // By way of the lanes, so that what is held on an idle one is noted anew.
      this.cancelLook = clock.at(decision.atMs, () => dispatcher.wake());
    } else if (decision.kind === "kill") {
      const { backlog, ahead } = this.timesOvertaken;
      const overtaken = { backlog: backlog + 1, ahead };
      const lane = lanes.find(({ attempt }) => attempt === decision.attempt);
      // Other backlog would have its turn on the lane: then this one has it.
      if (isTurnOfBacklog(overtaken) && this.hasBacklogFor(lane?.messagesMax ?? 0)) return;
      this.timesOvertaken = overtaken;
      this.attempts.preempt(decision.attempt);
    }
  }

  /** Whether backlog waits that a lane takes which merges so many messages. */
  private hasBacklogFor(messagesMax: number): boolean {
    return (
      this.trees.waiting().some(({ priority }) => priority === BACKLOG) ||
      this.waiting
        .all()
        .some(({ priority, shape }) => priority === BACKLOG && messagesOf(shape) <= messagesMax)
    );
  }

  private lookAgainAtHeld(): void {
    const { clock, dispatcher } = this.modules;
    this.cancelHold();
    if (this.heldUntilMs < Infinity) {
      this.cancelHold = clock.at(this.heldUntilMs, () => dispatcher.wake());
    }
    this.heldUntilMs = Infinity;
  }

  /**
   * What is next above backlog and may still start, and the messages that it merges, 0 for a fold; undefined
   * when nothing above it waits. A job of a tree loses nothing until it is late, and is before no group of a
   * higher class.
   */
  private urgent(): (Urgent & { messages: number }) | undefined {
    const nowMs = this.modules.clock.nowMs();
    const ofTree = (startByMs: number) => ({ startByMs, worthAt: () => 1, messages: 0 });
    for (const each of this.waiting.inOrder()) {
      if (each.priority === BACKLOG) break;
      const startByMs = this.waiting.startByMs(each.waiter);
      const treeByMs = this.trees.startByMs(each.priority);
      if (startByMs > treeByMs) return ofTree(treeByMs);
      if (startByMs > nowMs && !this.wouldGiveWay(each)) {
        const { submission } = each.waiter.session;
        const worthAt = (atMs: number) =>
          this.worths.best(submission, groupOf(each.waiter), atMs)?.worth ?? 0;
        return { startByMs, worthAt, messages: messagesOf(each.shape) };
      }
    }
    const treeByMs = this.trees.startByMs(AGGREGATION);
    return treeByMs === Infinity ? undefined : ofTree(treeByMs);
  }

  /** Ends the session's waiting for the attempt: see `Attempts.leave`. */
  leave(attemptId: number, session: Session, reason: StopReason): void {
    this.attempts.leave(attemptId, session, reason);
    this.trees.left(attemptId);
  }

  /** Forgets the inputs whose time set aside is over. */
  expire(): void {
    this.attempts.expire();
  }

  /** Cancels the timers of later decisions. */
  close(): void {
    this.cancelLook();
    this.cancelHold();
  }

  private finished(attemptId: number, result: ProofResult): void {
    const attempt = this.attempts.finish(attemptId, result);
    if (attempt === undefined) return;
    if (attempt.waiters.length === 0) return;
    if (isBacklog(attempt)) this.timesOvertaken = { ...this.timesOvertaken, backlog: 0 };
    if (result.kind !== "proved") return;
    const isMerge = attempt.leader.work.kind === "merge";
    const isAhead = isMerge && hasWaiterOf(attempt, AGGREGATION);
    if (isAhead) this.timesOvertaken = { ...this.timesOvertaken, ahead: 0 };
    if (!isMerge) this.votesProvedAtMs = this.modules.clock.nowMs();
  }
}
