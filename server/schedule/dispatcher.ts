/**
 * The scheduler's end of the lanes: hands idle lanes the next group under a numbered attempt, and
 * tells its owner, once, how each attempt ended. What it assigns and believes follows from messages
 * alone, so that a lane may be anywhere; only costs and what the operator sees are read from local
 * lanes. Whoever owns the sessions supplies the jobs.
 */
import { assertNever } from "../errors.js";
import type { Clock } from "../clock.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { CostStore } from "../lane/cost-file.js";
import type { ProveJob, ProverDescription, StartProver } from "../prover/prover.js";
import type { BeliefEffect, LaneBelief } from "./lane-belief.js";
import { abandon, assign, hear, unknownLane } from "./lane-belief.js";
import type { Verifier } from "../lane/verifier.js";
import { FailoverVerifier } from "../lane/verifier.js";
import type { CostModel } from "../work/cost-model.js";
import { OPTIMISTIC_AT, pessimisticMs, predictMs, quantileMs } from "../work/cost-model.js";
import type { Shape } from "../work/shape.js";
import { shapeOf, smallestShape } from "../work/shape.js";
import type { Future, LaneForecast } from "./forecast.js";
import type { ProofResult, StopReason } from "../work/group.js";
import { LaneRunner } from "../lane/lane.js";
import type { FromLane, LaneJob, ToLane } from "../lane/lane-messages.js";

/** One group that may start, and whom to tell. Each job ends by one call of `finished` or `lost`. */
export interface Job extends LaneJob {
  started(attempt: number): void;
  finished(attempt: number, result: ProofResult): void;
  /** The lane is past the attempt, and nobody knows how it went. */
  lost(attempt: number): void;
}

/** Whoever owns the groups that wait. */
export interface JobSource {
  /** The next group to prove, about to be started; undefined when none waits. */
  next(): Job | undefined;
  /** Every idle lane has been offered work. */
  offered(): void;
}

/** Carries a message to its receiver; the simulation loses, delays, doubles and reorders. */
export type Post = (deliver: () => void) => void;

export interface DispatcherOptions {
  deviceIds: readonly string[];
  standbys: 0 | 1;
  /** A prover that holds more is replaced between proofs, in bytes. */
  residentBytesMax: number;
}

export interface DispatcherModules {
  startProver: StartProver;
  /** What a device is timed by before its first proof, if anything; default nothing. */
  calibrationOf?(deviceId: string): ProveJob | undefined;
  /** Keeps what devices have learned of their costs; default nowhere. */
  costStore?: CostStore | undefined;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  post: Post;
}

interface Lane {
  runner: LaneRunner;
  belief: LaneBelief;
}

export class Dispatcher {
  private readonly lanes: Lane[];
  private readonly jobs = new Map<number, { job: Job; lane: Lane }>();
  private readonly checker: FailoverVerifier;
  private readonly whenUp = new Set<() => void>();
  private nextAttempt = 1;
  private isClosed = false;
  private description: ProverDescription | undefined;
  private source: JobSource = { next: () => undefined, offered: () => undefined };

  constructor(
    options: DispatcherOptions,
    private readonly modules: DispatcherModules,
  ) {
    const { standbys, residentBytesMax } = options;
    this.lanes = options.deviceIds.map((id) => {
      const { startProver, clock, log, metrics } = modules;
      const lane: Lane = {
        belief: unknownLane,
        runner: new LaneRunner(
          { id, standbys, residentBytesMax },
          {
            startProver: () => startProver(id),
            calibration: modules.calibrationOf?.(id),
            costStore: modules.costStore,
            clock,
            log,
            metrics,
            emit: (message) => modules.post(() => this.hear(lane, message)),
            refuse: (description) => this.refuse(description),
          },
        ),
      };
      return lane;
    });
    this.checker = new FailoverVerifier({
      clock: modules.clock,
      metrics: modules.metrics,
      provers: () => this.lanes.flatMap(({ runner }) => runner.checkers()),
    });
  }

  /** Starts every lane; `ready` tells when one is up. */
  start(source: JobSource): void {
    this.source = source;
    for (const { runner } of this.lanes) runner.open();
  }

  /** Resolves once a lane is up, or when closed. */
  async ready(): Promise<void> {
    if (this.isUp || this.isClosed) return;
    await new Promise<void>((resolve) => this.whenUp.add(resolve));
  }

  /** Offers idle lanes work, the fastest first; called whenever a job may have come up. */
  wake(): void {
    if (this.isClosed) return;
    const smallMs = ({ runner }: Lane) => predictMs(runner.cost, smallestShape);
    const idle = this.lanes.filter(({ belief }) => belief.kind === "idle");
    for (const lane of idle.sort((a, b) => smallMs(a) - smallMs(b))) {
      const job = this.source.next();
      if (job === undefined) break;
      const attempt = this.nextAttempt++;
      this.jobs.set(attempt, { job, lane });
      lane.belief = assign(lane.belief, attempt);
      job.started(attempt);
      this.sendAssign(attempt);
    }
    this.source.offered();
  }

  /** Kills an attempt that runs; its end is not told. Nothing happens to one that is over. */
  kill(attempt: number, reason: StopReason): void {
    const known = this.jobs.get(attempt);
    if (known === undefined) return;
    const { lane } = known;
    this.jobs.delete(attempt);
    lane.belief = abandon(lane.belief, reason);
    this.send(lane, { kind: "kill", lease: lane.belief.lease, attempt, reason });
  }

  /** What the provers are; undefined until the first is up. */
  describe(): ProverDescription | undefined {
    return this.description;
  }

  /** A lane takes work now, or will within a moment; one that is drained does not, though it proves. */
  get isUp(): boolean {
    return this.lanesInUse().some(({ belief }) => belief.kind !== "down" || belief.isBackSoon);
  }

  /** A lane waits for work. */
  get isIdle(): boolean {
    return this.lanes.some(({ belief }) => belief.kind === "idle");
  }

  /** What keeps every lane from taking work, for people. */
  whyDown(): string {
    const why = ({ runner }: Lane) => {
      const { phase, isDrained } = runner.state;
      if (isDrained) return `device ${runner.id} is drained`;
      if (phase.kind === "failed") return `device ${runner.id} failed: ${phase.cause}`;
      return `device ${runner.id} is ${phase.kind}`;
    };
    return this.lanes.map(why).join("; ");
  }

  /** Predicted milliseconds for a proof of this shape on the best lane. */
  predictMs(shape: Shape): number {
    return this.onBestLane(predictMs, shape);
  }

  /** The same so many standard deviations above the middle. */
  quantileMs(shape: Shape, deviations: number): number {
    return this.onBestLane((model) => quantileMs(model, shape, deviations), shape);
  }

  /** As `predictMs`, such that most proofs take less. */
  pessimisticMs(shape: Shape): number {
    return this.onBestLane(pessimisticMs, shape);
  }

  /**
   * When each lane takes work again in this future, by default an optimistic one. Those that the
   * operator drained are left out.
   */
  forecast(future: Future = () => OPTIMISTIC_AT): LaneForecast[] {
    return this.lanesInUse().map((lane, nth) => {
      const { runner, belief } = lane;
      const hasStandby = runner.state.standby?.isReady === true;
      const isHeld = belief.kind === "holds" && !belief.isOver;
      const attempt = isHeld ? belief.attempt : undefined;
      return { attempt, hasStandby, freeAtMs: this.freeAtMs(lane, future(nth)) };
    });
  }

  /** Verifies in whichever prover is at hand, standbys first. */
  verifier(): { description: ProverDescription; checker: Verifier } | undefined {
    const description = this.checker.describe();
    return description === undefined ? undefined : { description, checker: this.checker };
  }

  /** The lanes, for the operator and for metrics. */
  devices(): readonly LaneRunner[] {
    return this.lanes.map(({ runner }) => runner);
  }

  /** Kills every prover and waits until all have ended. Idempotent. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const resolve of this.whenUp) resolve();
    await Promise.all(this.lanes.map(({ runner }) => runner.close()));
  }

  private onBestLane(cost: (model: CostModel, shape: Shape) => number, shape: Shape): number {
    return Math.min(...this.lanes.map(({ runner }) => cost(runner.cost, shape)));
  }

  private freeAtMs({ runner, belief }: Lane, deviations: number): number {
    const nowMs = this.modules.clock.nowMs();
    if (belief.kind === "down") return belief.isBackSoon ? nowMs : Infinity;
    if (belief.kind === "idle" || belief.isOver) return nowMs;
    const work = this.jobs.get(belief.attempt)?.job.work;
    const proof = runner.proofSince() ?? {
      startedAtMs: nowMs,
      shape: work === undefined ? { raws: 0, children: 0 } : shapeOf(work),
    };
    return proof.startedAtMs + quantileMs(runner.cost, proof.shape, deviations);
  }

  private lanesInUse(): Lane[] {
    return this.lanes.filter(({ runner }) => !runner.state.isDrained);
  }

  private hear(lane: Lane, message: FromLane): void {
    if (this.isClosed) return;
    const { belief, effects } = hear(lane.belief, message);
    lane.belief = belief;
    for (const effect of effects) this.apply(lane, effect);
    if (this.isUp) for (const resolve of this.whenUp) resolve();
    this.wake();
  }

  private apply(lane: Lane, effect: BeliefEffect): void {
    const known = this.jobs.get(effect.attempt);
    switch (effect.kind) {
      case "deliver":
        this.jobs.delete(effect.attempt);
        known?.job.finished(effect.attempt, effect.result);
        return;
      case "lost":
        this.jobs.delete(effect.attempt);
        this.modules.metrics.lostAttempts.inc();
        known?.job.lost(effect.attempt);
        return;
      case "resend_assign":
        return this.sendAssign(effect.attempt);
      case "resend_kill": {
        const { attempt, reason } = effect;
        return this.send(lane, { kind: "kill", lease: lane.belief.lease, attempt, reason });
      }
      default:
        return assertNever(effect);
    }
  }

  private sendAssign(attempt: number): void {
    const known = this.jobs.get(attempt);
    if (known === undefined) return;
    const { job, lane } = known;
    this.send(lane, { kind: "assign", lease: lane.belief.lease, attempt, job });
  }

  private send({ runner }: Lane, message: ToLane): void {
    this.modules.post(() => runner.receive(message));
  }

  /** Proofs of different revisions do not verify each other: one service, one prover build. */
  private refuse(description: ProverDescription): string | undefined {
    const first = (this.description ??= description);
    const name = ({ scheme, revision }: ProverDescription) => `${scheme} ${revision}`;
    if (name(first) === name(description)) return undefined;
    return `it proves ${name(description)}, this service ${name(first)}`;
  }
}
