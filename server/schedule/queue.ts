/**
 * The groups that wait for a prover and those in flight: which is next, who waits for which
 * attempt, who pays, and when backlog makes way. Each waiter keeps its own deadline, fence and
 * names, and a flight is killed when the last of its waiters has gone.
 */
import type { Clock } from "../clock.js";
import type { Metrics } from "../metrics.js";
import type { Dispatcher, Job, JobSource } from "./dispatcher.js";
import type { Ahead, Future, LaneForecast } from "./forecast.js";
import { futures, startAfter } from "./forecast.js";
import type { DecodedGroup, ProofResult, StopReason } from "../work/group.js";
import type { Shape } from "../work/shape.js";
import { shapeOf, smallestShape } from "../work/shape.js";
import type { PassedOver } from "./order.js";
import { compareStanding, priorities, takeNext } from "./order.js";
import type { Standing } from "./order.js";
import { rotationOf } from "../work/parts.js";
import { preemption, TAKEOVER_MS } from "./preemption.js";
import { Tries } from "./explore.js";
import { MINUTE_HALF_LIFE_MS, SLOTS_HALF_LIFE_MS, Usage } from "./usage.js";
import type { Flight, Payer } from "./attempt.js";
import { isNotFor } from "./attempt.js";
import { groupOf, isRetry, workOf } from "../session/session.js";
import type { Session, Waiter } from "../session/session.js";
import type { SessionEvent } from "../session/session-state.js";
import type { Submission } from "../work/submission.js";
import { SetAside } from "./set-aside.js";
import { resultFor } from "./shared-result.js";

export interface Forecast {
  startAtMs: number;
  finishAtMs: number;
  /** The start before the deadline, the finish before the fence. */
  isInTime: boolean;
}

export interface GroupQueueModules {
  clock: Clock;
  metrics: Metrics;
  dispatcher: Dispatcher;
  /** The sessions in flight, and their machine. */
  sessions: { all(): Session[]; step(session: Session, event: SessionEvent): void };
}

export class GroupQueue implements JobSource {
  /** Prover time by node. */
  readonly usage = new Usage(SLOTS_HALF_LIFE_MS);
  /** The same by principal, over a minute: what quotas are held against. */
  readonly usageOfPrincipals = new Usage(MINUTE_HALF_LIFE_MS);
  private readonly flights = new Map<number, Flight>();
  private readonly setAside = new SetAside();
  private readonly tries = new Tries();
  private passedOver: PassedOver = 0;
  private cancelLook = () => {};

  constructor(private readonly modules: GroupQueueModules) {}

  /** Takes a session's groups in: ends what must not start, and joins what is in flight already. */
  enter(session: Session): void {
    const { sessions, clock } = this.modules;
    const nowMs = clock.nowMs();
    session.submission.groups.forEach(({ isOverLimit, digest }, group) => {
      if (isOverLimit) return sessions.step(session, { kind: "refused", group, reason: "limit" });
      if (this.setAside.has(digest, nowMs))
        return sessions.step(session, { kind: "refused", group, reason: "set_aside" });
      for (const [attempt, flight] of this.flights)
        if (flight.digest === digest) this.board(attempt, flight, { session, group });
    });
  }

  next(): Job | undefined {
    const taken = takeNext(this.waiting(), this.passedOver);
    if (taken === undefined) return undefined;
    this.passedOver = taken.passedOver;
    return this.jobOf(taken.next.waiter, taken.isBacklogTurn);
  }

  /** Every idle lane was offered work: does backlog have to make way for what still waits? */
  offered(): void {
    const { clock, dispatcher, metrics, sessions } = this.modules;
    this.cancelLook();
    if (![...this.flights.keys()].some((attempt) => this.isPreemptible(attempt))) return;
    const [urgent] = this.waiting().sort(compareStanding);
    if (urgent === undefined || urgent.priority === priorities.backlog || dispatcher.isIdle) return;
    const { deadlineAtMs, fenceAtMs } = urgent.waiter.session.submission;
    const startByMs = Math.min(deadlineAtMs, fenceAtMs - this.pessimisticMs(urgent.waiter));
    const decision = preemption(clock.nowMs(), startByMs, dispatcher.forecast(), (attempt) =>
      this.isPreemptible(attempt),
    );
    if (decision.kind === "look_again") {
      this.cancelLook = clock.at(decision.atMs, () => this.offered());
    } else if (decision.kind === "kill") {
      metrics.preemptions.inc();
      this.passedOver++;
      for (const { session, group } of [...(this.flights.get(decision.attempt)?.waiters ?? [])])
        sessions.step(session, { kind: "preempt", group });
    }
  }

  /** A waiter's session is done with the attempt; without waiters left it is killed. */
  leave(attempt: number, session: Session, reason: StopReason): void {
    const flight = this.flights.get(attempt);
    if (flight === undefined) return;
    flight.waiters = flight.waiters.filter((waiter) => waiter.session !== session);
    if (flight.waiters.length > 0) return;
    this.land(attempt, flight);
    this.modules.dispatcher.kill(attempt, reason);
  }

  /**
   * When a snapshot that comes now could have a first group started, and when the least of it that
   * may be started would be done: the first of the futures in which both are in time, else the
   * soonest of all. What waits of superseded sessions is as good as gone.
   */
  forecast(submission: Submission, superseded: readonly Session[]): Forecast {
    const [head] = submission.groups;
    const nowMs = this.modules.clock.nowMs();
    if (head === undefined) return { startAtMs: nowMs, finishAtMs: nowMs, isInTime: true };
    const digests = new Set(submission.groups.map(({ digest }) => digest));
    const before = this.waitingBefore(submission, head, digests).filter(
      ({ waiter }) => !superseded.includes(waiter.session),
    );
    let soonest: Forecast = { startAtMs: Infinity, finishAtMs: Infinity, isInTime: false };
    for (const future of futures) {
      const { startAtMs, finishAtMs } = this.forecastIn(future, submission, digests, before);
      const { deadlineAtMs, fenceAtMs } = submission;
      const isInTime = startAtMs < deadlineAtMs && finishAtMs < fenceAtMs;
      if (isInTime) return { startAtMs, finishAtMs, isInTime };
      if (finishAtMs < soonest.finishAtMs) soonest = { startAtMs, finishAtMs, isInTime };
    }
    return soonest;
  }

  private forecastIn(
    future: Future,
    submission: Submission,
    digests: ReadonlySet<string>,
    before: readonly { waiter: Waiter }[],
  ) {
    const { clock, dispatcher } = this.modules;
    const nowMs = clock.nowMs();
    const lanes = dispatcher.forecast(future);
    const [shared] = lanes
      .flatMap(({ attempt, freeAtMs }) => {
        const flight = attempt === undefined ? undefined : this.flights.get(attempt);
        if (flight === undefined || !digests.has(flight.digest)) return [];
        return [{ startAtMs: flight.startedAtMs, finishAtMs: Math.max(nowMs, freeAtMs) }];
      })
      .sort((a, b) => a.finishAtMs - b.finishAtMs);
    if (shared !== undefined) return shared;

    const mayPreempt = submission.priority !== priorities.backlog;
    const makesWay = ({ attempt, hasStandby }: LaneForecast) =>
      mayPreempt && hasStandby && attempt !== undefined && this.isPreemptible(attempt);
    const free = lanes.map((lane) => ({
      freeAtMs: makesWay(lane) ? Math.min(lane.freeAtMs, nowMs + TAKEOVER_MS) : lane.freeAtMs,
    }));
    const inQueue: Future = (nth) => future(lanes.length + nth);
    const ahead = this.ahead(before, inQueue);
    const startAtMs = startAfter(nowMs, free, ahead, submission.deadlineAtMs);
    const ownMs = this.leastMs(submission, inQueue(before.length));
    return { startAtMs, finishAtMs: startAtMs + ownMs };
  }

  /** Who waits and would be started before it, in order; what it shares with it apart. */
  private waitingBefore(submission: Submission, head: DecodedGroup, digests: ReadonlySet<string>) {
    const standing = this.standingOf(submission, head, Infinity);
    return this.waiting()
      .filter(
        (other) =>
          compareStanding(other, standing) < 0 && !digests.has(groupOf(other.waiter).digest),
      )
      .sort(compareStanding);
  }

  /** Lets go of what time has made worthless. */
  expire(): void {
    const nowMs = this.modules.clock.nowMs();
    this.setAside.expire(nowMs);
    this.usage.expire(nowMs);
    this.usageOfPrincipals.expire(nowMs);
  }

  /** No timer is left behind. */
  close(): void {
    this.cancelLook();
  }

  /** The first group that waits of each session: the node's own order holds within it. */
  private waiting(): (Standing & { waiter: Waiter })[] {
    return this.modules.sessions.all().flatMap((session) => {
      const group = session.state.groups.findIndex(({ kind }) => kind === "queued");
      if (group < 0) return [];
      const waiter = { session, group };
      return [{ ...this.standingOf(session.submission, groupOf(waiter), session.order), waiter }];
    });
  }

  private *ahead(waiting: readonly { waiter: Waiter }[], future: Future): Generator<Ahead> {
    for (const [nth, { waiter }] of waiting.entries()) {
      const costMs = this.modules.dispatcher.quantileMs(shapeOf(workOf(waiter)), future(nth));
      const { deadlineAtMs, fenceAtMs } = waiter.session.submission;
      yield { costMs, latestStartAtMs: Math.min(deadlineAtMs, fenceAtMs - costMs) };
    }
  }

  private standingOf(
    { priority, nodeId }: Submission,
    { work }: DecodedGroup,
    order: number,
  ): Standing {
    const { clock, dispatcher } = this.modules;
    const usedMs = this.usage.of(nodeId, clock.nowMs());
    const usedProofs = Math.round(usedMs / dispatcher.predictMs(smallestShape));
    const costMs = dispatcher.predictMs(shapeOf(work));
    return { priority, usedProofs, costMs, order };
  }

  private jobOf(first: Waiter, isBacklogTurn: boolean): Job {
    const { clock, dispatcher } = this.modules;
    const nowMs = clock.nowMs();
    const leader = groupOf(first);
    const { digest } = leader;
    const waiters = this.startingWith(first);
    const { submission } = first.session;
    const limit = (of: (submission: Submission) => number) =>
      Math.max(...waiters.map(({ session }) => of(session.submission)));
    const deadlineAtMs = limit((each) => each.deadlineAtMs);
    const fenceAtMs = limit((each) => each.fenceAtMs);
    const mayBeCut = waiters.every(({ session }) => session.submission.mayBeCut);
    const firsts = waiters.filter(({ session }) => session.startedAtMs.size === 0);
    const isFirstOfSession = firsts.length > 0;
    const cameToIdle = firsts.some(({ session }) => session.cameToIdle);
    const least = leastShape(leader, mayBeCut);
    const isUnlikely = nowMs + dispatcher.predictMs(least) >= fenceAtMs;
    const isTry = cameToIdle && isUnlikely && this.tries.mayTry(least, nowMs);
    return {
      work: leader.work,
      deadlineAtMs,
      fenceAtMs,
      isFirstOfSession,
      isTry,
      isRetry: waiters.some(isRetry),
      mayBeCut,
      rotation: rotationOf(submission.slot),
      started: (attempt) => {
        const ms = dispatcher.predictMs(shapeOf(leader.work)) / waiters.length;
        const flight: Flight = {
          digest,
          leader,
          deadlineAtMs,
          fenceAtMs,
          waiters: [],
          startedAtMs: nowMs,
          charges: [],
          isBacklogTurn,
          mayBeCut,
        };
        if (isTry) this.tries.tried(least, nowMs);
        this.flights.set(attempt, flight);
        for (const waiter of waiters) this.board(attempt, flight, waiter, ms);
      },
      finished: (attempt, result) => this.finished(attempt, result),
      lost: (attempt) => {
        const flight = this.flights.get(attempt);
        if (flight === undefined) return;
        this.land(attempt, flight);
        for (const { session, group } of flight.waiters)
          this.modules.sessions.step(session, { kind: "lost", group, attempt });
      },
    };
  }

  /**
   * All that wait for the same work; where the whole of it is predicted to miss the fence, only those
   * that agree on whether it may be cut.
   */
  private startingWith(first: Waiter): Waiter[] {
    const { digest } = groupOf(first);
    const all = this.modules.sessions.all().flatMap((session) =>
      session.state.groups.flatMap(({ kind }, group) => {
        const waiter = { session, group };
        return kind === "queued" && groupOf(waiter).digest === digest ? [waiter] : [];
      }),
    );
    const { fenceAtMs, mayBeCut } = first.session.submission;
    if (this.modules.clock.nowMs() + this.pessimisticMs(first) < fenceAtMs) return all;
    return all.filter(({ session }) => session.submission.mayBeCut === mayBeCut);
  }

  private board(attempt: number, flight: Flight, waiter: Waiter, ms = 0): void {
    const { clock, metrics, sessions } = this.modules;
    const { session, group } = waiter;
    const { nodeId, principal, receivedAtMs } = session.submission;
    const nowMs = clock.nowMs();
    if (isRetry(waiter)) metrics.retries.inc();
    else metrics.queueSeconds.observe((nowMs - receivedAtMs) / 1000);
    if (flight.waiters.length > 0) metrics.sharedGroups.inc();
    flight.waiters.push(waiter);
    flight.charges.push({ nodeId, principal, ms });
    this.charge({ nodeId, principal }, ms, nowMs);
    sessions.step(session, { kind: "started", group, attempt });
  }

  private finished(attempt: number, result: ProofResult): void {
    const flight = this.flights.get(attempt);
    if (flight === undefined) return;
    this.land(attempt, flight);
    if (isBacklog(flight)) this.passedOver = 0;
    const { sessions, clock } = this.modules;
    const { digest, work } = flight.leader;
    if (result.kind === "proved")
      this.tries.proved(leastShape(flight.leader, flight.mayBeCut), clock.nowMs());
    const isDeath = result.kind === "failed" && result.deaths > 0;
    if (isDeath) this.setAside.blame(digest, result.deaths, flight.fenceAtMs);
    const isSetAside = this.setAside.has(digest, clock.nowMs());
    for (const waiter of flight.waiters) {
      const { session, group } = waiter;
      if (isNotFor(waiter, flight, result, clock.nowMs())) {
        sessions.step(session, { kind: "lost", group, attempt });
        continue;
      }
      const own = resultFor(workOf(waiter), work, result);
      const mayRetry = isDeath && !isSetAside && this.fits(waiter);
      sessions.step(session, { kind: "result", group, attempt, result: own, mayRetry });
    }
  }

  /** The attempt is over: its nodes pay what it took instead of what it was predicted to take. */
  private land(attempt: number, flight: Flight): void {
    this.flights.delete(attempt);
    const nowMs = this.modules.clock.nowMs();
    const shareMs = (nowMs - flight.startedAtMs) / flight.charges.length;
    for (const { ms, ...payer } of flight.charges) this.charge(payer, shareMs - ms, nowMs);
  }

  private charge({ nodeId, principal }: Payer, ms: number, nowMs: number): void {
    this.usage.charge(nodeId, ms, nowMs);
    this.usageOfPrincipals.charge(principal.name, ms, nowMs);
  }

  private isPreemptible(attempt: number): boolean {
    const flight = this.flights.get(attempt);
    return flight !== undefined && !flight.isBacklogTurn && isBacklog(flight);
  }

  /** A proof of this group that started now would be done before the fence. */
  private fits(waiter: Waiter): boolean {
    const { clock, dispatcher } = this.modules;
    const tookMs = dispatcher.predictMs(shapeOf(workOf(waiter)));
    return clock.nowMs() + tookMs < waiter.session.submission.fenceAtMs;
  }

  /** What the least of the snapshot that may be started costs. */
  private leastMs(
    { groups, mayBeCut }: Pick<Submission, "groups" | "mayBeCut">,
    deviations: number,
  ): number {
    const { dispatcher } = this.modules;
    const least = groups.map((group) => leastShape(group, mayBeCut));
    return Math.min(...least.map((shape) => dispatcher.quantileMs(shape, deviations)));
  }

  private pessimisticMs(waiter: Waiter): number {
    return this.modules.dispatcher.pessimisticMs(shapeOf(workOf(waiter)));
  }
}

/** What may be started of a group at the least. */
function leastShape({ work }: DecodedGroup, mayBeCut: boolean): Shape {
  const whole = shapeOf(work);
  if (!mayBeCut || whole.raws + whole.children < 2) return whole;
  return whole.raws > 0 ? smallestShape : { raws: 0, children: 2 };
}

/** All that wait for it do so in backlog. */
function isBacklog({ waiters }: Flight): boolean {
  return waiters.every(({ session }) => session.submission.priority === priorities.backlog);
}
