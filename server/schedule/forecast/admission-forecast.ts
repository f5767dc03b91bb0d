/** Predicts when a snapshot that arrives now could start and finish; admission decides by that. */
import type { Clock } from "../../clock.js";
import type { Session } from "../../session/session.js";
import { mayStart } from "../../work/group.js";
import { messagesOf, shapeOf, smallestPart } from "../../work/shape.js";
import { BACKLOG } from "../../work/priority.js";
import type { Submission } from "../../work/submission.js";
import { LEAST_CHANCE_AT, worthlessFromMs } from "../../work/worth.js";
import type { Attempts } from "../attempt/attempts.js";
import type { Dispatcher } from "../dispatcher.js";
import { futures, startAfter } from "./forecast.js";
import type { Ahead, Future, LaneOutlook } from "./forecast.js";
import type { Trees } from "../attempt/trees.js";
import { TAKEOVER_MS } from "../preemption.js";
import type { Waiting, WaitingGroup } from "../waiting.js";

export interface Forecast {
  /** When the first of the snapshot's groups could start; infinite while no lane takes work. */
  startAtMs: number;
  /** When the smallest part of the snapshot that may be proved alone would be proved. */
  finishAtMs: number;
  /** Whether the start is before the deadline and the finish before it is worthless. */
  isInTime: boolean;
  /** Whether a lane is idle that takes one of the snapshot's groups. */
  hasIdleLane: boolean;
}

/** An attempt in progress on lane number `nth`; its end is predicted by the deviation there. */
interface SharedAttempt {
  readonly nth: number;
  readonly startAtMs: number;
  readonly finishAtMs: (deviations: number) => number;
}

/** What is the same in all scenarios. */
interface AdmissionOutlook {
  readonly submission: Submission;
  /** Messages that a lane has to merge for one of the groups at least; 0: there is a fold. */
  readonly messages: number;
  readonly lanes: readonly LaneOutlook[];
  /** For each lane, whether its attempt would be preempted for the snapshot. */
  readonly isPreempted: readonly boolean[];
  readonly shared: readonly SharedAttempt[];
  readonly before: readonly WaitingGroup[];
}

export interface AdmissionForecastModules {
  clock: Clock;
  dispatcher: Dispatcher;
  waiting: Waiting;
  attempts: Attempts;
  trees: Trees;
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
    const { deadlineAtMs } = submission;
    const worthlessAtMs = worthlessFromMs(submission);
    const head = submission.groups.find(mayStart);
    const nowMs = clock.nowMs();
    const { dispatcher } = this.modules;
    const messages = leastMessages(submission);
    const hasIdleLane = dispatcher.isIdleFor(messages);
    if (head === undefined) {
      return { startAtMs: nowMs, finishAtMs: nowMs, isInTime: true, hasIdleLane };
    }
    const lanes = dispatcher.outlook();
    const isPreempted = lanes.map((lane) => this.isPreemptedFor(submission, messages, lane));
    const shared = this.sharedAttempts(submission, lanes);
    const before = waiting.before(submission, head, superseded);
    const outlook = { submission, messages, lanes, isPreempted, shared, before };
    let soonest = { startAtMs: Infinity, finishAtMs: Infinity };
    for (const future of futures) {
      const { startAtMs, finishAtMs } = this.inFuture(future, outlook);
      const isInTime = startAtMs < deadlineAtMs && finishAtMs < worthlessAtMs;
      if (isInTime) return { startAtMs, finishAtMs, isInTime, hasIdleLane };
      if (finishAtMs < soonest.finishAtMs) soonest = { startAtMs, finishAtMs };
    }
    return { ...soonest, isInTime: false, hasIdleLane };
  }

  private inFuture(
    future: Future,
    { submission, messages, lanes, isPreempted, shared, before }: AdmissionOutlook,
  ): Pick<Forecast, "startAtMs" | "finishAtMs"> {
    const nowMs = this.modules.clock.nowMs();
    if (shared.length > 0) return soonestIn(future, shared);

    const free = lanes.map((lane, nth) => {
      const { messagesMax } = lane;
      const ownAtMs = lane.freeAtMs(future(nth));
      const atMs = isPreempted[nth] === true ? Math.min(ownAtMs, nowMs + TAKEOVER_MS) : ownAtMs;
      return { freeAtMs: atMs, messagesMax };
    });
    const inQueue: Future = (nth) => future(lanes.length + nth);
    const ahead = this.ahead(submission, before, inQueue);
    const enoughAtMs = submission.deadlineAtMs;
    const startAtMs = startAfter(nowMs, free, ahead, { messages, enoughAtMs });
    // A part starts that has the least chance, so the snapshot is not skipped for a longer one.
    const ownMs = this.smallestMs(submission, Math.min(inQueue(before.length), LEAST_CHANCE_AT));
    return { startAtMs, finishAtMs: startAtMs + ownMs };
  }

  /**
   * The attempts in progress that already prove one of the snapshot's groups, here or for another
   * door. A proof that another door has made comes at once.
   */
  private sharedAttempts(
    { groups }: Submission,
    lanes: readonly LaneOutlook[],
  ): readonly SharedAttempt[] {
    const nowMs = this.modules.clock.nowMs();
    const digests = new Set(groups.map(({ digest }) => digest));
    return lanes.flatMap(({ attempt: attemptId, freeAtMs, isTaken, adoptable }, nth) => {
      const found = adoptable.filter((each) => each.fenceAtMs > nowMs && digests.has(each.digest));
      if (found.some(({ isRunning }) => !isRunning)) {
        return [{ nth, startAtMs: nowMs, finishAtMs: () => nowMs }];
      }
      const attempt = attemptId === undefined ? undefined : this.modules.attempts.get(attemptId);
      const isShared = attempt !== undefined && digests.has(attempt.leader.digest);
      if (!isShared && !(isTaken && found.length > 0)) return [];
      // The jobs of a tree that are left share all lanes.
      const ahead = attempt?.tree?.ahead() ?? [];
      const finishAtMs = (deviations: number) => {
        const ms = ahead.map((job) => this.modules.dispatcher.quantileMs(job, deviations));
        const leftMs = ms.reduce((sum, each) => sum + each, 0) / lanes.length;
        return Math.max(nowMs, freeAtMs(deviations)) + leftMs;
      };
      // A lane that is out of reach may never end it.
      if (finishAtMs(0) === Infinity) return [];
      return [{ nth, startAtMs: attempt?.startedAtMs ?? nowMs, finishAtMs }];
    });
  }

  private isPreemptedFor(
    { priority }: Submission,
    messages: number,
    { attempt, hasStandby, messagesMax }: LaneOutlook,
  ): boolean {
    if (priority === BACKLOG || !hasStandby || attempt === undefined) return false;
    return messagesMax >= messages && this.modules.attempts.isPreemptible(attempt);
  }

  /** The jobs that come before: those of trees in progress, then those of waiting groups. */
  private *ahead(
    { priority }: Submission,
    waiting: readonly WaitingGroup[],
    future: Future,
  ): Generator<Ahead> {
    const { dispatcher, trees } = this.modules;
    for (const { shape, fenceAtMs } of trees.ahead(priority)) {
      const costMs = dispatcher.quantileMs(shape, future(0));
      yield { messages: 0, costMs, latestStartAtMs: fenceAtMs - costMs };
    }
    for (const [nth, { waiter, shape }] of waiting.entries()) {
      const { deadlineAtMs, fenceAtMs } = waiter.session.submission;
      for (const job of dispatcher.jobsOf(shape)) {
        const costMs = dispatcher.quantileMs(job, future(nth));
        const latestStartAtMs = Math.min(deadlineAtMs, fenceAtMs - costMs);
        yield { messages: messagesOf(job), costMs, latestStartAtMs };
      }
    }
  }

  /** Predicted ms for the cheapest part of the snapshot; `deviations` as in `quantileMs`. */
  private smallestMs({ groups, mayShed }: Submission, deviations: number): number {
    const shapes = groups.filter(mayStart).map(({ work }) => smallestPart(shapeOf(work), mayShed));
    const costs = shapes.map((shape) => this.modules.dispatcher.quantileMs(shape, deviations));
    return Math.min(...costs);
  }
}

function leastMessages({ groups }: Submission): number {
  const all = groups.filter(mayStart).map(({ work }) => messagesOf(shapeOf(work)));
  return all.length === 0 ? 0 : Math.min(...all);
}

/** Start and predicted end, in this scenario, of the attempt that ends first. */
function soonestIn(future: Future, shared: readonly SharedAttempt[]) {
  const ends = shared.map(({ nth, startAtMs, finishAtMs }) => {
    return { startAtMs, finishAtMs: finishAtMs(future(nth)) };
  });
  return ends.reduce((best, each) => (each.finishAtMs < best.finishAtMs ? each : best));
}
