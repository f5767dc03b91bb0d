/** Predicts when a snapshot that arrives now could start and finish; admission decides by that. */
import type { Clock } from "../clock.js";
import type { Adoptable } from "../lane/lane-messages.js";
import { workOf } from "../session/session.js";
import type { Session } from "../session/session.js";
import { shapeOf, smallestPart } from "../work/shape.js";
import { BACKLOG } from "../work/priority.js";
import type { Submission } from "../work/submission.js";
import type { Attempts } from "./attempts.js";
import type { Dispatcher } from "./dispatcher.js";
import { futures, startAfter } from "./forecast.js";
import type { Ahead, Future, LaneForecast } from "./forecast.js";
import { TAKEOVER_MS } from "./preemption.js";
import type { Waiting, WaitingGroup } from "./waiting.js";

export interface Forecast {
  /** When the first of the snapshot's groups could start; infinite while no lane takes work. */
  startAtMs: number;
  /** When the smallest part of the snapshot that may be proved alone would be proved. */
  finishAtMs: number;
  /** Whether the start is before the deadline and the finish before the fence. */
  isInTime: boolean;
}

export interface AdmissionForecastModules {
  clock: Clock;
  dispatcher: Dispatcher;
  waiting: Waiting;
  attempts: Attempts;
}

export class AdmissionForecast {
  constructor(private readonly modules: AdmissionForecastModules) {}

  /**
   * Returns the forecast of the first scenario (of `futures`) in which the snapshot is in time. If
   * there is none, returns that of the scenario in which the snapshot finishes soonest.
   *
   * @param superseded sessions whose queued groups end when the snapshot is accepted
   */
  of(submission: Submission, superseded: readonly Session[]): Forecast {
    const { clock, waiting } = this.modules;
    const { groups, deadlineAtMs, fenceAtMs } = submission;
    const [head] = groups;
    const nowMs = clock.nowMs();
    if (head === undefined) return { startAtMs: nowMs, finishAtMs: nowMs, isInTime: true };
    const before = waiting.before(submission, head, superseded);
    let soonest: Forecast = { startAtMs: Infinity, finishAtMs: Infinity, isInTime: false };
    for (const future of futures) {
      const { startAtMs, finishAtMs } = this.inFuture(future, submission, before);
      const isInTime = startAtMs < deadlineAtMs && finishAtMs < fenceAtMs;
      if (isInTime) return { startAtMs, finishAtMs, isInTime };
      if (finishAtMs < soonest.finishAtMs) soonest = { startAtMs, finishAtMs, isInTime };
    }
    return soonest;
  }

  private inFuture(future: Future, submission: Submission, before: readonly WaitingGroup[]) {
    const { clock, dispatcher } = this.modules;
    const nowMs = clock.nowMs();
    const lanes = dispatcher.forecast(future);
    const shared = this.sharedAttempt(submission, lanes);
    if (shared !== undefined) return shared;

    const free = lanes.map((lane) => ({
      freeAtMs: this.isPreemptedFor(submission, lane)
        ? Math.min(lane.freeAtMs, nowMs + TAKEOVER_MS)
        : lane.freeAtMs,
    }));
    const inQueue: Future = (nth) => future(lanes.length + nth);
    const ahead = this.ahead(before, inQueue);
    const startAtMs = startAfter(nowMs, free, ahead, submission.deadlineAtMs);
    const ownMs = this.smallestMs(submission, inQueue(before.length));
    return { startAtMs, finishAtMs: startAtMs + ownMs };
  }

  /**
   * Start and predicted end of the attempt in progress that already proves one of the snapshot's
   * groups, here or for another door. If several do, the one that ends first; undefined if none
   * does. A proof that another door has made comes at once.
   */
  private sharedAttempt({ groups }: Submission, lanes: readonly LaneForecast[]) {
    const nowMs = this.modules.clock.nowMs();
    const isWanted = ({ digest, fenceAtMs }: Adoptable) =>
      fenceAtMs > nowMs && groups.some((group) => group.digest === digest);
    const [soonest] = lanes
      .flatMap(({ attempt: attemptId, freeAtMs, isTaken, adoptable }) => {
        const found = adoptable.filter(isWanted);
        if (found.some(({ isRunning }) => !isRunning)) {
          return [{ startAtMs: nowMs, finishAtMs: nowMs }];
        }
        if (isTaken && found.length > 0) {
          return [{ startAtMs: nowMs, finishAtMs: Math.max(nowMs, freeAtMs) }];
        }
        const attempt = attemptId === undefined ? undefined : this.modules.attempts.get(attemptId);
        if (!groups.some(({ digest }) => digest === attempt?.leader.digest)) return [];
        const startAtMs = attempt?.startedAtMs ?? nowMs;
        return [{ startAtMs, finishAtMs: Math.max(nowMs, freeAtMs) }];
      })
      .sort((a, b) => a.finishAtMs - b.finishAtMs);
    return soonest;
  }

  private isPreemptedFor({ priority }: Submission, { attempt, hasStandby }: LaneForecast): boolean {
    if (priority === BACKLOG || !hasStandby || attempt === undefined) return false;
    return this.modules.attempts.isPreemptible(attempt);
  }

  private *ahead(waiting: readonly WaitingGroup[], future: Future): Generator<Ahead> {
    for (const [nth, { waiter }] of waiting.entries()) {
      const costMs = this.modules.dispatcher.quantileMs(shapeOf(workOf(waiter)), future(nth));
      const { deadlineAtMs, fenceAtMs } = waiter.session.submission;
      yield { costMs, latestStartAtMs: Math.min(deadlineAtMs, fenceAtMs - costMs) };
    }
  }

  /** Predicted ms for the cheapest part of the snapshot; `deviations` as in `quantileMs`. */
  private smallestMs({ groups, mayShed }: Submission, deviations: number): number {
    const shapes = groups.map(({ work }) => smallestPart(shapeOf(work), mayShed));
    const costs = shapes.map((shape) => this.modules.dispatcher.quantileMs(shape, deviations));
    return Math.min(...costs);
  }
}
