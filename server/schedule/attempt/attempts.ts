/**
 * The attempts in progress, by number: which groups wait for each, whose accounts are charged, and
 * how it ends for each waiter. A waiter keeps its own deadline and fence, and its own validator and
 * child indices. An attempt that the last waiter has left is killed, or runs on where too many of its node's
 * were. An attempt may be another door's, which its waiters have adopted; they are charged for the time from
 * then on.
 */
import type { Clock } from "../../clock.js";
import type { Metrics } from "../../metrics/metrics.js";
import { groupOf, isRetry, workOf } from "../../session/session.js";
import type { Session, Waiter } from "../../session/session.js";
import type { SessionEvent } from "../../session/session-state.js";
import type { ProofResult, StopReason } from "../../work/group.js";
import { judgedByInputs } from "../../work/inputs.js";
import { messagesOf, shapeOf, smallestPart } from "../../work/shape.js";
import { assignmentOf, isBacklog, isDecidedByOthers, isFirst } from "./attempt.js";
import type { Attempt, AttemptTree, Plan } from "./attempt.js";
import type { Dispatcher } from "../dispatcher.js";
import type { AdoptableWork } from "../lane-handle.js";
import { Exploration } from "../forecast/exploration.js";
import type { GroupWorths } from "../forecast/group-worths.js";
import { SetAside } from "./set-aside.js";
import { resultFor } from "./shared-result.js";
import type { Accounts } from "../usage.js";

export interface AttemptsModules {
  clock: Clock;
  metrics: Metrics;
  dispatcher: Dispatcher;
  accounts: Accounts;
  worths: GroupWorths;
  sessions: {
    step(session: Session, event: SessionEvent): void;
    willCharge(session: Session): void;
    charged(session: Session, coreMs: number): void;
    jobStarted(attempt: number, job: number): void;
  };
  /** Kills whatever the attempt has on lanes, without a result. */
  kill(attemptId: number, reason: StopReason): void;
  /** Forgets the attempt's tree, of which the jobs on lanes run on. */
  letGo(attemptId: number): void;
}

/** For these a node may have no more provers killed than `limits.killsPerMinuteMax`. */
const COUNTED: readonly StopReason[] = ["cancelled", "superseded"];

export class Attempts {
  private readonly running = new Map<number, Attempt>();
  /** The attempt at the whole group, by the number of each job of its tree that a lane has. */
  private readonly jobs = new Map<number, number>();
  private readonly setAside = new SetAside();
  private readonly exploration = new Exploration();
  /** Groups that got a result which they do not take, or no answer: they adopt no proof again. */
  private readonly unsuited = new WeakMap<Session, Set<number>>();

  constructor(private readonly modules: AttemptsModules) {}

  /** @param number of the attempt, or of a job of its tree */
  get(number: number): Attempt | undefined {
    return this.running.get(this.wholeOf(number));
  }

  /** The attempt at the whole group, for its own number or that of a job of its tree. */
  wholeOf(number: number): number {
    return this.jobs.get(number) ?? number;
  }

  /** A lane has a job of the attempt's tree, under this number. */
  jobStarted(number: number, attemptId: number): void {
    this.jobs.set(number, attemptId);
    this.modules.sessions.jobStarted(attemptId, number);
  }

  jobEnded(number: number): void {
    this.jobs.delete(number);
  }

  /** Provers died over a job of the attempt. */
  blame(attemptId: number, deaths: number): void {
    const attempt = this.running.get(attemptId);
    if (attempt === undefined || deaths === 0) return;
    this.setAside.blame(attempt.leader.digest, deaths, attempt.assignment.fenceAtMs);
  }

  /** Makes the plan of an attempt at the first waiter's work, for all waiters. Starts nothing. */
  plan(
    first: Waiter,
    waiters: readonly Waiter[],
    { isBacklogTurn, mayExplore }: { isBacklogTurn: boolean; mayExplore: boolean },
  ): Plan {
    const { clock, worths } = this.modules;
    const leader = groupOf(first);
    const assignment = assignmentOf(first, waiters);
    const { slot } = first.session.submission;
    const smallest = smallestPart(shapeOf(leader.work), assignment.mayShed);
    const nowMs = clock.nowMs();
    const cameToIdle = waiters.some((waiter) => isFirst(waiter) && waiter.session.cameToIdle);
    const isUnlikely = worths.best({ ...assignment, slot }, leader, nowMs) === undefined;
    const isExploration =
      mayExplore && cameToIdle && isUnlikely && this.exploration.mayTry(smallest, nowMs);
    return {
      leader,
      waiters,
      first,
      assignment: { ...assignment, isExploration },
      isBacklogTurn,
      adopted: null,
    };
  }

  /**
   * Makes the plan to adopt the offered proof for those of the waiters that it may suit; undefined
   * when it suits none. Starts nothing.
   */
  planAdoption(waiting: readonly Waiter[], offered: AdoptableWork): Plan | undefined {
    const waiters = waiting.filter((waiter) => this.maySuit(waiter, offered));
    const [first] = waiters;
    if (first === undefined) return undefined;
    const leader = groupOf(first);
    const assignment = assignmentOf(first, waiters);
    return { leader, waiters, first, assignment, isBacklogTurn: false, adopted: offered };
  }

  /** @param tree of an attempt at several jobs, of which the first has this number */
  start(attemptId: number, plan: Plan, tree?: AttemptTree): Attempt {
    const { clock, dispatcher } = this.modules;
    const nowMs = clock.nowMs();
    const whole = shapeOf(plan.leader.work);
    const cores = dispatcher.laneOf(attemptId)?.cores ?? 1;
    const kept = { startedAtMs: nowMs, cores, charges: [], tree };
    const attempt: Attempt = { ...plan, waiters: [], ...kept };
    if (plan.assignment.isExploration) {
      this.exploration.tried(smallestPart(whole, plan.assignment.mayShed), nowMs);
    }
    this.running.set(attemptId, attempt);
    // What is left of an adopted proof is not known, and may be nothing.
    const predictedMs = plan.adopted === null ? dispatcher.predictMs(whole) : 0;
    const shareMs = (tree?.predictedMs() ?? predictedMs) / plan.waiters.length;
    for (const waiter of plan.waiters) this.join(attemptId, attempt, waiter, shareMs);
    return attempt;
  }

  /**
   * Adds the group to an attempt in progress at the same work; charged when the attempt ends. Of two
   * such attempts it joins the one that agrees on shedding inputs: a group runs under one attempt. It joins
   * none on a lane that is out of reach while another lane is idle.
   */
  joinRunning(waiter: Waiter): void {
    const { digest } = groupOf(waiter);
    const { mayShed } = waiter.session.submission;
    const { dispatcher } = this.modules;
    const isIdle = dispatcher.isIdleFor(messagesOf(shapeOf(workOf(waiter))));
    const isJoined = (attemptId: number, { leader }: Attempt) =>
      leader.digest === digest && !(isIdle && dispatcher.laneOf(attemptId)?.isDown === true);
    const same = [...this.running].filter(([attemptId, each]) => isJoined(attemptId, each));
    const agrees = same.find(([, { assignment }]) => assignment.mayShed === mayShed);
    const [attemptId, attempt] = agrees ?? same[0] ?? [];
    if (attemptId !== undefined && attempt !== undefined) this.join(attemptId, attempt, waiter, 0);
  }

  /**
   * Ends the attempt, and passes its result to every waiter. Returns the attempt; undefined if it
   * had ended before.
   */
  finish(attemptId: number, result: ProofResult): Attempt | undefined {
    const attempt = this.end(attemptId);
    if (attempt === undefined) return undefined;
    const { sessions, clock } = this.modules;
    const { leader, assignment } = attempt;
    if (result.kind === "proved") {
      const smallest = smallestPart(shapeOf(leader.work), assignment.mayShed);
      this.exploration.proved(smallest, clock.nowMs());
    }
    const isDeath = result.kind === "failed" && result.deaths > 0;
    if (isDeath) this.setAside.blame(leader.digest, result.deaths, assignment.fenceAtMs);
    const isSetAside = this.isSetAside(leader.digest);
    for (const waiter of attempt.waiters) {
      const { session, group } = waiter;
      const judged = judgedByInputs(result, leader.work, session.submission.minInputs);
      if (isDecidedByOthers(waiter, attempt, judged, clock.nowMs())) {
        this.adoptsNoMore(waiter);
        sessions.step(session, { kind: "lost", group, attempt: attemptId });
        continue;
      }
      const own = resultFor(workOf(waiter), leader.work, judged);
      const mayRetry = isDeath && !isSetAside && this.mayStart(waiter);
      sessions.step(session, { kind: "result", group, attempt: attemptId, result: own, mayRetry });
    }
    return attempt;
  }

  /**
   * Queues every waiter again: no result of the attempt will come. They adopt no proof any more where a
   * lane has ignored their adoption, so that an idle one may prove them.
   */
  lost(attemptId: number, isIgnored = false): void {
    for (const waiter of this.end(attemptId)?.waiters ?? []) {
      const { session, group } = waiter;
      if (isIgnored) this.adoptsNoMore(waiter);
      this.modules.sessions.step(session, { kind: "lost", group, attempt: attemptId });
    }
  }

  /**
   * Removes the session's groups from the waiters. An attempt without waiters is killed, unless too many of the
   * node's were: then its proof runs on, as if the node had waited. Equal work joins it, and it is preempted like
   * backlog; of a tree only the jobs that lanes have run on.
   */
  leave(attemptId: number, session: Session, reason: StopReason): void {
    const attempt = this.running.get(attemptId);
    if (attempt === undefined) return;
    attempt.waiters = attempt.waiters.filter((waiter) => waiter.session !== session);
    if (attempt.waiters.length > 0) return;
    const mayKill =
      // Another door's proof is not killed by this one.
      attempt.adopted !== null ||
      !COUNTED.includes(reason) ||
      session.node.takeKills(this.proversOf(attemptId, attempt));
    if (!mayKill && attempt.tree === undefined) return;
    this.end(attemptId);
    if (mayKill) this.modules.kill(attemptId, reason);
    else this.modules.letGo(attemptId);
  }

  private proversOf(attemptId: number, { tree }: Attempt): number {
    if (tree === undefined) return 1;
    return [...this.jobs.values()].filter((whole) => whole === attemptId).length;
  }

  /** Ends every waiter's group as if its fence had come: no proof of the attempt can be ready by it. */
  missed(attemptId: number): void {
    for (const { session, group } of this.end(attemptId)?.waiters ?? []) {
      this.modules.sessions.step(session, { kind: "missed", group, attempt: attemptId });
    }
  }

  /** Ends every waiter's group as preempted; the attempt, left without waiters, is killed. */
  preempt(attemptId: number): void {
    this.modules.metrics.preemptions.inc();
    const waiters = this.get(attemptId)?.waiters ?? [];
    for (const { session, group } of waiters) {
      this.modules.sessions.step(session, { kind: "preempt", group });
    }
    // Nobody has waited for it.
    if (waiters.length > 0 || this.end(attemptId) === undefined) return;
    this.modules.kill(attemptId, "preempted");
  }

  isPreemptible(attemptId: number): boolean {
    const attempt = this.get(attemptId);
    return attempt !== undefined && mayPreempt(attempt);
  }

  hasPreemptible(): boolean {
    for (const attempt of this.running.values()) if (mayPreempt(attempt)) return true;
    return false;
  }

  /** Whether this input is set aside: it has ended too many provers to be tried again. */
  isSetAside(digest: string): boolean {
    return this.setAside.has(digest, this.modules.clock.nowMs());
  }

  expire(): void {
    this.setAside.expire(this.modules.clock.nowMs());
  }

  private join(attemptId: number, attempt: Attempt, waiter: Waiter, ms: number): void {
    const { clock, metrics, accounts, sessions } = this.modules;
    const { session, group } = waiter;
    const { nodeId, principal, receivedAtMs } = session.submission;
    const nowMs = clock.nowMs();
    if (isRetry(waiter)) metrics.retries.inc();
    else if (!session.startedAtMs.has(group))
      metrics.queueSeconds.observe((nowMs - receivedAtMs) / 1000);
    if (attempt.waiters.length > 0) metrics.sharedGroups.inc();
    attempt.waiters = [...attempt.waiters, waiter];
    const payer = { nodeId, principal: principal.name };
    attempt.charges.push({ payer, session, ms, atMs: nowMs });
    if (attempt.tree !== undefined) session.request.trees.set(group, attempt.tree);
    sessions.willCharge(session);
    accounts.charge(payer, ms, nowMs);
    sessions.step(session, { kind: "started", group, attempt: attemptId });
  }

  /** Removes the attempt, and charges equal shares of its real duration, not of the predicted. */
  private end(attemptId: number): Attempt | undefined {
    const attempt = this.running.get(attemptId);
    if (attempt === undefined) return undefined;
    this.running.delete(attemptId);
    const nowMs = this.modules.clock.nowMs();
    const usedMs = attempt.tree?.usedMs() ?? nowMs - attempt.startedAtMs;
    const shareMs = usedMs / attempt.charges.length;
    const { accounts, sessions } = this.modules;
    for (const charge of attempt.charges) {
      accounts.settle(charge.payer, charge, shareMs, nowMs);
      sessions.charged(charge.session, shareMs * attempt.cores);
    }
    return attempt;
  }

  private adoptsNoMore({ session, group }: Waiter): void {
    const groups = this.unsuited.get(session) ?? new Set();
    this.unsuited.set(session, groups.add(group));
  }

  /**
   * Whether the waiter may take the result. One that forbids shedding waits only for a proof that
   * is known to have all inputs, or for a held one, whose result is there at once. The proof of a
   * merge has all inputs always.
   */
  private maySuit(waiter: Waiter, { isRunning, proof }: AdoptableWork): boolean {
    const { session, group } = waiter;
    if (this.unsuited.get(session)?.has(group) === true) return false;
    const work = workOf(waiter);
    if (session.submission.mayShed || !isRunning || work.kind === "merge") return true;
    const { raws, children } = shapeOf(work);
    return proof?.shape.raws === raws && proof.shape.children === children;
  }

  /** Whether some part of the group may start now. */
  private mayStart(waiter: Waiter): boolean {
    const { clock, worths } = this.modules;
    return worths.best(waiter.session.submission, groupOf(waiter), clock.nowMs()) !== undefined;
  }
}

function mayPreempt(attempt: Attempt): boolean {
  return !attempt.isBacklogTurn && attempt.adopted === null && isBacklog(attempt);
}
