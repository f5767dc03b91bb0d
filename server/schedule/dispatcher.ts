/**
 * The scheduler's side of all lanes: gives each idle lane the next attempt, with a number, and
 * notifies the attempt's owner once how the attempt ended. The dispatcher and the lanes exchange
 * only messages, so a lane may run in another process or on another machine. Lanes come and go while
 * the service runs, and there may be none.
 */
import { assertNever } from "../errors.js";
import type { Clock } from "../clock.js";
import type { Metrics } from "../metrics/metrics.js";
import { removeDevice } from "../metrics/metrics.js";
import type { ProverDescription } from "../work/prover-description.js";
import { plainAssignment } from "../lane/lane-messages.js";
import type { Assignment, FromLink, LaneLink, LaneListener } from "../lane/lane-messages.js";
import type { Duration } from "../work/costs/cost-model.js";
import { PESSIMISTIC_AT } from "../work/costs/cost-model.js";
import type { ProofResult, StopReason } from "../work/group.js";
import type { Shape } from "../work/shape.js";
import { smallestShape } from "../work/shape.js";
import type { FoldLimits } from "../work/fold-limits.js";
import { Durations } from "./forecast/durations.js";
import type { LaneOutlook } from "./forecast/forecast.js";
import type { AdoptableWork, AttemptEnd, OperatedDevice } from "./lane-handle.js";
import { LaneHandle, whyDown } from "./lane-handle.js";
import { TAKEOVER_MS } from "./preemption.js";

/**
 * An attempt to start, with the callbacks of its owner: `started`, then one of `finished` and
 * `lost`. After `Dispatcher.kill` neither of these two is called.
 */
export interface NextAttempt extends Assignment {
  started(attempt: number): void;
  finished(attempt: number, result: ProofResult): void;
  /**
   * No result of the attempt has arrived, and none will. `isIgnored`: it was adopted, and the lane, which
   * lists its work, never answered.
   */
  lost(attempt: number, isIgnored?: boolean): void;
}

/** Where the dispatcher gets attempts from. */
export interface AttemptSource {
  /**
   * Takes the groups that wait for such work, to which a running or held proof of another door is
   * offered; undefined when none waits.
   */
  adopt(offered: AdoptableWork): NextAttempt | undefined;
  /** Whether some group waits. */
  readonly hasWaiting: boolean;
  /**
   * Takes the next attempt, which the dispatcher then starts; undefined when no such group waits.
   *
   * @param messagesMax messages of a merge that the lane's prover takes; 0: it cannot merge
   * @param isLastLane whether no other lane is idle
   */
  next(messagesMax: number, isLastLane: boolean): NextAttempt | undefined;
  /** Called each time after the idle lanes were given attempts, as far as there were any. */
  offered(): void;
}

/** The number of the last attempt; shared by dispatchers whose attempts are known by one number. */
export interface AttemptNumbers {
  last: number;
}

export interface DispatcherModules {
  clock: Clock;
  metrics: Metrics;
  numbers: AttemptNumbers;
}

/** `isSpare`: nobody waits for the attempt, see `assignSpare`. */
type Given = Readonly<{ owner: NextAttempt; lane: LaneHandle; isSpare: boolean }>;

export class Dispatcher implements LaneListener {
  /** The lanes by device, in the order in which they came. */
  private readonly lanes = new Map<string, LaneHandle>();
  private readonly attempts = new Map<number, Given>();
  private isClosed = false;
  private description: ProverDescription | undefined;
  private readonly idle = new Set<LaneHandle>();
  private lanesSoFar = 0;
  private readonly durations: Durations;
  private source: AttemptSource = {
    hasWaiting: false,
    adopt: () => undefined,
    next: () => undefined,
    offered: () => undefined,
  };

  /** @param leafRawsMax most raw signatures of a job, where the lanes take more; 0: as they do */
  constructor(
    private readonly modules: DispatcherModules,
    leafRawsMax = 0,
  ) {
    this.durations = new Durations(leafRawsMax, { freeAfterMs: () => this.freeAfterMs() });
  }

  /** Sets the source from which idle lanes get attempts from now on. */
  start(source: AttemptSource): void {
    this.source = source;
  }

  /** Takes in a lane. One of the same device that is still there is taken to have gone. */
  added(link: LaneLink): void {
    this.gone(link.deviceId, `device ${link.deviceId} has come again`);
    if (this.isClosed) return;
    const lane = new LaneHandle(link, this.durations.costs.add(), ++this.lanesSoFar);
    this.lanes.set(link.deviceId, lane);
  }

  /** Takes a message of the lane of this device; of a device that has gone, it is ignored. */
  heard(deviceId: string, message: FromLink): void {
    const lane = this.lanes.get(deviceId);
    if (this.isClosed || lane === undefined) return;
    const ends = lane.hear(message, this.modules.clock.nowMs());
    if (lane.duty.kind === "idle") this.idle.add(lane);
    else this.idle.delete(lane);
    for (const end of ends) this.end(end);
    this.describedBy(lane);
    // Groups that wait again may find what they wait for on any lane, others only on this one.
    this.match(ends.length > 0 ? this.lanes.values() : [lane]);
  }

  /**
   * Removes the lane of this device. The attempt that it was assigned has failed, as if its prover
   * had died, and the operator's commands to the device end.
   */
  gone(deviceId: string, why: string): void {
    const lane = this.remove(deviceId);
    if (lane === undefined) return;
    removeDevice(this.modules.metrics, deviceId);
    for (const end of lane.end(why)) this.end(end);
    this.wake();
  }

  /** Removes the lane of this device for another schedule: its attempts are lost, and tried again. */
  release(deviceId: string, why: string): void {
    const lane = this.remove(deviceId);
    for (const { attempt } of lane?.end(why) ?? []) this.end({ kind: "lost", attempt });
    this.wake();
  }

  /**
   * Adopts for groups that wait what other doors prove or have proved, then gives idle lanes
   * attempts, the fastest lane first. Called whenever a group may be waiting.
   */
  wake(): void {
    this.match(this.lanes.values());
  }

  /** As `wake`. @param adoptFrom the lanes that may have proofs to adopt */
  private match(adoptFrom: Iterable<LaneHandle>): void {
    if (this.isClosed) return;
    this.adopt(adoptFrom);
    let nothingUpTo = -1;
    for (const lane of this.source.hasWaiting ? this.idleLanes() : []) {
      const { messagesMax } = lane;
      if (messagesMax <= nothingUpTo) continue;
      const next = this.source.next(messagesMax, this.idle.size === 1);
      if (next === undefined) {
        nothingUpTo = messagesMax;
        continue;
      }
      this.assign(lane, next, false);
    }
    this.source.offered();
  }

  /**
   * Gives an attempt for which nobody waits to an idle lane, beside a standby that takes over when a group
   * comes. Does nothing without such a lane, and while a group waits.
   */
  assignSpare(next: NextAttempt): void {
    const isFit = ({ report }: LaneHandle) => report.isStandbyReady && !report.isRefreshing;
    const lane = this.source.hasWaiting ? undefined : this.idleLanes().find(isFit);
    if (!this.isClosed && lane !== undefined) this.assign(lane, next, true);
  }

  private assign(lane: LaneHandle, next: NextAttempt, isSpare: boolean): void {
    const attempt = ++this.modules.numbers.last;
    this.attempts.set(attempt, { owner: next, lane, isSpare });
    this.idle.delete(lane);
    lane.assign(attempt, plainAssignment(next));
    next.started(attempt);
    lane.sendAssignment();
  }

  /** Kills a running attempt without notifying its owner. Does nothing if the attempt has ended. */
  kill(attempt: number, reason: StopReason): void {
    const known = this.attempts.get(attempt);
    if (known === undefined) return;
    this.attempts.delete(attempt);
    known.lane.kill(attempt, reason);
  }

  /**
   * Backend, revision and sizes of the provers, and the most messages that one of them merges;
   * undefined until the first prover is up.
   */
  describe(): ProverDescription | undefined {
    return this.description;
  }

  /**
   * Whether some lane is idle, proves, or is about to be taken over by a standby. A lane
   * that the operator has drained does not count, even while it still proves.
   */
  get isUp(): boolean {
    return this.lanesInUse().some(({ isDown }) => !isDown);
  }

  /** Whether some lane waits for work. */
  get isIdle(): boolean {
    return this.isIdleFor(0);
  }

  /** Whether a lane waits for work that merges so many messages; 0: any lane. */
  isIdleFor(messages: number): boolean {
    for (const { messagesMax } of this.idle) if (messages <= messagesMax) return true;
    return false;
  }

  /** A text for people that says why each lane takes no work. */
  whyDown(): string {
    return this.devices().map(whyDown).join("; ") || "no lane is there";
  }

  /** What one job may have on every lane: a group over it is a tree of jobs. */
  get foldLimits(): FoldLimits {
    return this.durations.foldLimits;
  }

  /** Median of the predicted milliseconds for a group of this shape; see `durationOf`. */
  predictMs(shape: Shape): number {
    return this.durations.quantileMs(shape, 0);
  }

  /**
   * A quantile of the duration of a group of this shape, in ms, `deviations` standard deviations above
   * the median: of a proof on the fastest lane, of a tree of jobs over all lanes.
   */
  quantileMs(shape: Shape, deviations: number): number {
    return this.durations.quantileMs(shape, deviations);
  }

  /** The predicted duration whose quantiles `quantileMs` returns. */
  durationOf(shape: Shape): Duration {
    return this.durations.durationOf(shape);
  }

  /** The 98th percentile of a group's duration (drained lanes count for one proof), in ms. */
  pessimisticMs(shape: Shape): number {
    return this.durations.quantileMs(shape, PESSIMISTIC_AT);
  }

  /** Median of the predicted milliseconds for a job of a group of this shape; see `Durations`. */
  jobMs(shape: Shape): number {
    return this.durations.jobMs(shape);
  }

  /** The jobs by which a group of this shape is proved, in an order in which they can. */
  jobsOf(shape: Shape): Shape[] {
    return this.durations.jobsOf(shape);
  }

  /** When each lane takes work again. Lanes that the operator has drained are left out. */
  outlook(): LaneOutlook[] {
    const nowMs = this.modules.clock.nowMs();
    return this.lanesInUse().map((lane) => {
      const attempt = lane.duty.kind === "assigned" ? lane.duty.attempt : undefined;
      const { isSpare = false } = this.attempts.get(attempt ?? 0) ?? {};
      return {
        attempt,
        isTaken: lane.duty.kind === "taken",
        adoptable: lane.report.adoptable,
        // One that is out of reach frees no lane by its death.
        hasStandby: lane.report.isStandbyReady && !lane.isDown,
        messagesMax: lane.messagesMax,
        freeAtMs: isSpare ? () => nowMs + TAKEOVER_MS : lane.freeAt(nowMs),
      };
    });
  }

  /** The lane that has the attempt; undefined once the attempt has ended. */
  laneOf(attempt: number): Pick<LaneHandle, "deviceId" | "cores" | "isDown"> | undefined {
    return this.attempts.get(attempt)?.lane;
  }

  /** The devices, for the operator and for `GetServerInfo`. */
  devices(): readonly OperatedDevice[] {
    return [...this.lanes.values()];
  }

  /** The device of this id; undefined without such a lane. */
  device(deviceId: string): OperatedDevice | undefined {
    return this.lanes.get(deviceId);
  }

  /** Ignores messages and assigns nothing from now on. Idempotent. */
  close(): void {
    this.isClosed = true;
  }

  /** Those that refresh their costs come last. Else the fastest first, by the median for the smallest proof; of equal ones the first to come. */
  private idleLanes(): LaneHandle[] {
    const smallMs = ({ costs }: LaneHandle) => costs.of(smallestShape).medianMs;
    const isLater = ({ report }: LaneHandle) => Number(report.isRefreshing);
    return [...this.idle].sort(
      (a, b) => isLater(a) - isLater(b) || smallMs(a) - smallMs(b) || a.arrival - b.arrival,
    );
  }

  /** The first lane describes all; lane hosts of an older version merge less than others, or nothing. */
  private describedBy({ deviceId, report: { description: theirs } }: LaneHandle): void {
    if (theirs === null) return;
    this.durations.described(deviceId, theirs);
    this.description ??= theirs;
    const { messagesMax } = theirs;
    if (messagesMax > this.description.messagesMax) {
      this.description = { ...this.description, messagesMax };
    }
  }

  private freeAfterMs(): number[] {
    const nowMs = this.modules.clock.nowMs();
    return this.lanesInUse().map((lane) => lane.freeAt(nowMs)(0) - nowMs);
  }

  private remove(deviceId: string): LaneHandle | undefined {
    const lane = this.lanes.get(deviceId);
    if (this.isClosed || lane === undefined) return undefined;
    this.lanes.delete(deviceId);
    this.idle.delete(lane);
    this.durations.costs.remove(lane.costs);
    this.durations.gone(deviceId);
    return lane;
  }

  private lanesInUse(): LaneHandle[] {
    return [...this.lanes.values()].filter(({ report }) => !report.isDrained);
  }

  /** Proofs that are held come first: they need no waiting. */
  private adopt(from: Iterable<LaneHandle>): void {
    if (!this.source.hasWaiting) return;
    const nowMs = this.modules.clock.nowMs();
    const lanes = [...from].filter(({ report }) => report.adoptable.length > 0);
    for (const isRunning of [false, true]) {
      for (const lane of lanes) {
        for (const offered of lane.adoptable(nowMs)) {
          if (offered.isRunning === isRunning) this.adoptOn(lane, offered, nowMs);
        }
      }
    }
  }

  private adoptOn(lane: LaneHandle, offered: AdoptableWork, nowMs: number): void {
    const next = this.source.adopt(offered);
    if (next === undefined) return;
    const attempt = ++this.modules.numbers.last;
    this.modules.metrics.fleetAdopted.inc();
    this.attempts.set(attempt, { owner: next, lane, isSpare: false });
    lane.adopt(attempt, next, nowMs);
    next.started(attempt);
    lane.sendAdoption(attempt);
  }

  private end(end: AttemptEnd): void {
    const { attempt } = end;
    const owner = this.attempts.get(attempt)?.owner;
    this.attempts.delete(attempt);
    switch (end.kind) {
      case "finished":
        return owner?.finished(attempt, end.result);
      case "lost":
      case "ignored":
        this.modules.metrics.lostAttempts.inc();
        return owner?.lost(attempt, end.kind === "ignored");
      case "taken":
        this.modules.metrics.fleetTaken.inc();
        return owner?.lost(attempt);
      case "missed":
        return owner?.lost(attempt);
      default:
        return assertNever(end);
    }
  }
}
