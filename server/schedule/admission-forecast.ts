/** When a snapshot that arrives now could start and finish, for admission to decide by. */
import type { Clock } from "../clock.js";
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
  /** When a first group could start. */
  startAtMs: number;
  /** When the smallest part of the snapshot that may be proved would be done. */
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
   * The forecast in the first future in which the snapshot is in time; else in the one in which it
   * finishes soonest.
   *
   * @param superseded sessions that end when the snapshot is accepted
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

  /** The attempt in progress at one of the snapshot's groups that ends first. */
  private sharedAttempt({ groups }: Submission, lanes: readonly LaneForecast[]) {
    const nowMs = this.modules.clock.nowMs();
    const [soonest] = lanes
      .flatMap(({ attempt: attemptId, freeAtMs }) => {
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

  /** Cost of the cheapest part of the snapshot that may be proved alone. */
  private smallestMs({ groups, mayBeCut }: Submission, deviations: number): number {
    const shapes = groups.map(({ work }) => smallestPart(shapeOf(work), mayBeCut));
    const costs = shapes.map((shape) => this.modules.dispatcher.quantileMs(shape, deviations));
    return Math.min(...costs);
  }
}
