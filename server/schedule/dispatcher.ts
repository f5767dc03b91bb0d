/**
 * The scheduler's end of all lanes: hands idle lanes the next group under a numbered attempt, and
 * notifies the attempt's owner, once, how it ended. What it assigns, predicts and shows the
 * operator follows from messages alone, so a lane may be anywhere.
 */
import { assertNever } from "../errors.js";
import type { Clock } from "../clock.js";
import type { Metrics } from "../metrics.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Assignment, FromLane, LaneLink } from "../lane/lane-messages.js";
import type { CostModel } from "../work/cost-model.js";
import { OPTIMISTIC_AT, pessimisticMs, predictMs, quantileMs } from "../work/cost-model.js";
import type { ProofResult, StopReason } from "../work/group.js";
import type { Shape } from "../work/shape.js";
import { smallestShape } from "../work/shape.js";
import type { Future, LaneForecast } from "./forecast.js";
import type { AttemptEnd, OperatedDevice } from "./lane-handle.js";
import { LaneHandle } from "./lane-handle.js";

/**
 * An attempt at one group that may start. It ends by one call of `finished` or `lost`, or by
 * `kill`.
 */
export interface NextAttempt extends Assignment {
  started(attempt: number): void;
  finished(attempt: number, result: ProofResult): void;
  /** The lane is past the attempt, and its result did not come. */
  lost(attempt: number): void;
}

/** The owner of the groups that wait. */
export interface AttemptSource {
  /** The next group to prove, about to be started; undefined when none waits. */
  next(): NextAttempt | undefined;
  /** Every idle lane has been offered work. */
  offered(): void;
}

export interface DispatcherModules {
  clock: Clock;
  metrics: Metrics;
}

export class Dispatcher {
  private readonly lanes: readonly LaneHandle[];
  private readonly attempts = new Map<number, { owner: NextAttempt; lane: LaneHandle }>();
  private readonly whenUp = new Set<() => void>();
  private lastAttempt = 0;
  private isClosed = false;
  private description: ProverDescription | undefined;
  private source: AttemptSource = { next: () => undefined, offered: () => undefined };

  /** @param links one a lane; what the lanes send goes to `hear` */
  constructor(
    links: readonly LaneLink[],
    private readonly modules: DispatcherModules,
  ) {
    this.lanes = links.map((link) => new LaneHandle(link));
  }

  /** From here on lanes that are idle are offered what the source has. */
  start(source: AttemptSource): void {
    this.source = source;
  }

  /** Takes a message of a lane. */
  hear(deviceId: string, message: FromLane): void {
    if (this.isClosed) return;
    const lane = this.lanes.find((each) => each.deviceId === deviceId);
    if (lane === undefined) throw new Error(`no link leads to device ${deviceId}`);
    for (const end of lane.hear(message)) this.end(end);
    this.description ??= lane.report.description ?? undefined;
    if (this.isUp) for (const resolve of this.whenUp) resolve();
    this.wake();
  }

  /** Resolves once a lane is up, or when closed. */
  async ready(): Promise<void> {
    if (this.isUp || this.isClosed) return;
    await new Promise<void>((resolve) => this.whenUp.add(resolve));
  }

  /** Offers idle lanes work, the fastest first; called whenever a group may have come up. */
  wake(): void {
    if (this.isClosed) return;
    const smallMs = ({ report }: LaneHandle) => predictMs(report.cost, smallestShape);
    const idle = this.lanes.filter(({ duty }) => duty.kind === "idle");
    for (const lane of idle.sort((a, b) => smallMs(a) - smallMs(b))) {
      const next = this.source.next();
      if (next === undefined) break;
      const attempt = ++this.lastAttempt;
      this.attempts.set(attempt, { owner: next, lane });
      lane.assign(attempt, assignmentOf(next));
      next.started(attempt);
      lane.sendAssignment();
    }
    this.source.offered();
  }

  /** Kills an attempt that runs; its owner is not told its end. Does nothing once it is over. */
  kill(attempt: number, reason: StopReason): void {
    const known = this.attempts.get(attempt);
    if (known === undefined) return;
    this.attempts.delete(attempt);
    known.lane.kill(reason);
  }

  /** What the provers are; undefined until the first is up. */
  describe(): ProverDescription | undefined {
    return this.description;
  }

  /**
   * A lane takes work now, or will within a moment; one that is drained does not, though it proves.
   */
  get isUp(): boolean {
    return this.lanesInUse().some(({ duty }) => duty.kind !== "down");
  }

  /** A lane waits for work. */
  get isIdle(): boolean {
    return this.lanes.some(({ duty }) => duty.kind === "idle");
  }

  /** What keeps every lane from taking work, for people. */
  whyDown(): string {
    const why = ({ deviceId, report: { phase, isDrained } }: LaneHandle) => {
      if (isDrained) return `device ${deviceId} is drained`;
      if (phase.kind === "failed") return `device ${deviceId} failed: ${phase.cause}`;
      return `device ${deviceId} is ${phase.kind}`;
    };
    return this.lanes.map(why).join("; ");
  }

  /** Predicted milliseconds for a proof of this shape on the best lane. */
  predictMs(shape: Shape): number {
    return this.onBestLane((model) => predictMs(model, shape));
  }

  /**
   * The same at a quantile of the predicted distribution, in standard deviations from its median.
   */
  quantileMs(shape: Shape, deviations: number): number {
    return this.onBestLane((model) => quantileMs(model, shape, deviations));
  }

  /** The 98th percentile of the duration of a proof of this shape on the best lane, in ms. */
  pessimisticMs(shape: Shape): number {
    return this.onBestLane((model) => pessimisticMs(model, shape));
  }

  /**
   * When each lane takes work again in this future, by default an optimistic one. Lanes that the
   * operator drained are left out.
   */
  forecast(future: Future = () => OPTIMISTIC_AT): LaneForecast[] {
    const nowMs = this.modules.clock.nowMs();
    return this.lanesInUse().map((lane, nth) => ({
      attempt: lane.duty.kind === "assigned" ? lane.duty.attempt : undefined,
      hasStandby: lane.report.isStandbyReady,
      freeAtMs: lane.freeAtMs(nowMs, future(nth)),
    }));
  }

  /** The devices, for the operator and for `GetServerInfo`. */
  devices(): readonly OperatedDevice[] {
    return this.lanes;
  }

  /** Hears and assigns nothing any more. Idempotent. */
  close(): void {
    this.isClosed = true;
    for (const resolve of this.whenUp) resolve();
  }

  private onBestLane(costMs: (model: CostModel) => number): number {
    return Math.min(...this.lanes.map(({ report }) => costMs(report.cost)));
  }

  private lanesInUse(): LaneHandle[] {
    return this.lanes.filter(({ report }) => !report.isDrained);
  }

  private end(end: AttemptEnd): void {
    const { attempt } = end;
    const owner = this.attempts.get(attempt)?.owner;
    this.attempts.delete(attempt);
    switch (end.kind) {
      case "finished":
        return owner?.finished(attempt, end.result);
      case "lost":
        this.modules.metrics.lostAttempts.inc();
        return owner?.lost(attempt);
      default:
        return assertNever(end);
    }
  }
}

/** Plain data: the part of an attempt that may cross to another machine. */
function assignmentOf(next: NextAttempt): Assignment {
  const { work, deadlineAtMs, fenceAtMs, rotation } = next;
  const { isFirstOfSession, isTry, isRetry, mayBeCut } = next;
  return { work, deadlineAtMs, fenceAtMs, isFirstOfSession, isTry, mayBeCut, rotation, isRetry };
}
