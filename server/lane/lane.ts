/**
 * Runs one lane: carries out what its state machine asks, keeps its prover processes and what they
 * cost, and talks to the scheduler in the messages of `messages.ts` alone. Owns its provers and its
 * timer; `close` leaves none behind.
 */
import { assertNever } from "../errors.js";
import type { Clock } from "../clock.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { CostStore } from "./cost-file.js";
import type { Prover, ProveJob, ProverDescription, ProverExit } from "../prover/prover.js";
import { FailoverVerifier } from "./verifier.js";
import type { CostModel } from "../work/cost-model.js";
import { overrunMs, pessimisticMs, predictMs } from "../work/cost-model.js";
import type { Shape } from "../work/shape.js";
import type { ChildWork, ProofResult, Raws } from "../work/group.js";
import { LearnedCosts } from "./learned-costs.js";
import type { KillCause, LaneEffect, LaneEvent, LaneOptions, LaneState } from "./lane-state.js";
import { freshLane, transitionLane } from "./lane-state.js";
import type { FromLane, LaneJob, RunningProof, ToLane } from "./lane-messages.js";
import { choosePart, isProof } from "../work/parts.js";
import { proveGroup } from "./prove-group.js";

/** How often silence, memory and due retries are looked at, and the scheduler is told how it is. */
const BEAT_MS = 500;
/** A beat that comes later than this tells of our own loop, not of the prover: nothing is judged. */
const BEAT_LATE_MS_MAX = 250;

export interface LaneRunnerOptions extends LaneOptions {
  id: string;
}

export interface LaneRunnerModules {
  startProver(): Prover;
  /** What the device is timed by before its first proof. */
  calibration: ProveJob | undefined;
  /** Keeps what it learns of its costs. */
  costStore: CostStore | undefined;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  /** To the scheduler. */
  emit(message: FromLane): void;
  /** Why a prover that describes itself so cannot serve here; undefined when it can. */
  refuse(description: ProverDescription): string | undefined;
}

/** A prover process of a lane, for metrics and the operator. */
export interface LaneProver {
  role: "active" | "standby";
  pid: number | undefined;
  isReady: boolean;
  residentBytes: number;
}

interface Run {
  attempt: number;
  job: LaneJob;
  checker: FailoverVerifier;
  /** Once the proof proper has begun. */
  proof: RunningProof | undefined;
  result: ProofResult | undefined;
}

export class LaneRunner {
  readonly id: string;
  private machine: LaneState = freshLane;
  private readonly costs: LearnedCosts;
  private readonly provers = new Map<
    number,
    { prover: Prover; killCause: KillCause | undefined }
  >();
  private run: Run | undefined;
  private cancelBeat = () => {};
  private readonly quietWaiters = new Set<() => void>();

  constructor(
    private readonly options: LaneRunnerOptions,
    private readonly modules: LaneRunnerModules,
  ) {
    this.id = options.id;
    const { clock, log, calibration, costStore: store } = modules;
    this.costs = new LearnedCosts({ deviceId: this.id, calibration }, { clock, log, store });
  }

  /** Begins to set the first prover up. */
  open(): void {
    this.step({ kind: "open" });
    this.scheduleBeat();
  }

  /** From the scheduler. */
  receive(message: ToLane): void {
    if (message.kind === "assign" && this.machine.phase.kind !== "proving") {
      // Kept before the machine decides: its effect names the attempt only.
      const { attempt, job } = message;
      const checker = new FailoverVerifier({
        clock: this.modules.clock,
        metrics: this.modules.metrics,
        provers: () => this.checkers(),
      });
      this.run = { attempt, job, checker, proof: undefined, result: undefined };
    }
    this.step(message);
  }

  get state(): LaneState {
    return this.machine;
  }

  /** As certain as it is now, give or take a second: it is asked for each group that waits. */
  get cost(): CostModel {
    return this.costs.model;
  }

  /** Its first prover makes a proof that nobody asked for, to find out how fast the device is. */
  get isCalibrating(): boolean {
    return this.costs.isCalibrating;
  }

  /** When the running proof is expected to end, by its start; undefined when none runs. */
  proofSince(): RunningProof | undefined {
    return this.machine.phase.kind === "proving" ? this.run?.proof : undefined;
  }

  /** Set-up provers to verify with, the standby first: it never made the proof in question. */
  checkers(): Prover[] {
    const { standby, active, phase } = this.machine;
    const isActiveUp = phase.kind === "idle" || phase.kind === "proving";
    const held = [standby?.isKilled === true ? null : standby, isActiveUp ? active : null];
    return held.flatMap((each) => {
      const prover = each?.isReady === true ? this.provers.get(each.prover)?.prover : undefined;
      return prover === undefined ? [] : [prover];
    });
  }

  proverList(): LaneProver[] {
    const roles = ["active", "standby"] as const;
    return roles.flatMap((role) => {
      const held = this.machine[role];
      const known = held === null ? undefined : this.provers.get(held.prover);
      if (held === null || known === undefined) return [];
      const { pid } = known.prover;
      const residentBytes = known.prover.residentBytes();
      return [{ role, pid, isReady: held.isReady, residentBytes }];
    });
  }

  /** The operator's: keep new work away, or take it again. */
  drain(isDrained: boolean): void {
    this.step({ kind: "drain", isDrained });
    this.modules.metrics.deviceDrained.set({ device: this.id }, isDrained ? 1 : 0);
  }

  /** The operator's: a fresh prover, after the proof at hand. */
  restart(role: LaneProver["role"]): void {
    this.step({ kind: "restart", role });
  }

  /** Resolves once no proof runs and no killed prover still ends, or when the signal aborts. */
  untilQuiet(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        const { kind } = this.machine.phase;
        if ((kind === "proving" || kind === "stopping") && !signal.aborted) return;
        this.quietWaiters.delete(look);
        signal.removeEventListener("abort", look);
        resolve();
      };
      this.quietWaiters.add(look);
      signal.addEventListener("abort", look);
      look();
    });
  }

  /** Kills every prover and resolves once all processes have ended. Idempotent. */
  async close(): Promise<void> {
    this.cancelBeat();
    this.step({ kind: "close" });
    await Promise.all([...this.provers.values()].map(({ prover }) => prover.exited));
  }

  private step(event: LaneEvent): void {
    const nowMs = this.modules.clock.nowMs();
    const { state, effects } = transitionLane(this.machine, event, nowMs, this.options);
    this.machine = state;
    for (const effect of effects) this.apply(effect);
    for (const look of [...this.quietWaiters]) look();
  }

  private apply(effect: LaneEffect): void {
    switch (effect.kind) {
      case "start_prover":
        return this.startProver(effect.prover);
      case "kill_prover":
        return this.killProver(effect.prover, effect.cause);
      case "run":
        return void this.prove(effect.attempt);
      case "report":
        return this.report(effect.attempt);
      case "report_death": {
        const deaths = 1 + (this.run?.attempt === effect.attempt ? this.run.checker.deaths : 0);
        const result = {
          kind: "failed",
          reason: "prover_died",
          detail: effect.why,
          deaths,
        } as const;
        this.run = undefined;
        return this.modules.emit({ kind: "ended", attempt: effect.attempt, result });
      }
      case "announce":
        return this.announce();
      default:
        return assertNever(effect);
    }
  }

  private announce(): void {
    const { phase, lease, standby, isDrained, isClosed } = this.machine;
    const attempt = phase.kind === "proving" ? phase.attempt : null;
    const isIdle = phase.kind === "idle" && !isDrained && !isClosed;
    const mayTakeOver = standby?.isReady === true && !standby.isKilled;
    const isBackSoon = phase.kind === "stopping" && mayTakeOver && !isClosed;
    const status =
      attempt !== null ? "proving" : isIdle ? "idle" : isBackSoon ? "back_soon" : "down";
    this.modules.emit({ kind: "announce", lease, status, attempt });
  }

  private startProver(number: number): void {
    const { log } = this.modules;
    const prover = this.modules.startProver();
    this.provers.set(number, { prover, killCause: undefined });
    prover.ready.then(
      (description) => {
        const problem = this.modules.refuse(description);
        if (problem === undefined) {
          this.proverReady(number, prover);
        } else {
          log.error({ device: this.id, pid: prover.pid, cause: problem }, "prover refused");
          prover.kill();
        }
      },
      () => undefined, // its exit tells
    );
    void prover.exited.then((exit) => this.proverExited(number, exit));
  }

  private proverReady(number: number, prover: Prover): void {
    const isReady = () => {
      this.modules.log.info({ device: this.id, pid: prover.pid }, "prover ready");
      this.step({ kind: "ready", prover: number });
    };
    if (this.costs.isPrepared) return isReady();
    const prepared = this.costs.prepare(prover, () => this.killProver(number, "wedged"));
    void prepared.then((isOfUse) => (isOfUse ? isReady() : undefined)); // it never rejects
  }

  private proverExited(number: number, exit: ProverExit): void {
    const { log, metrics } = this.modules;
    const known = this.provers.get(number);
    const cause = known?.killCause ?? (exit.cause === "killed_by_us" ? "refused" : exit.cause);
    const role = this.machine.standby?.prover === number ? "standby" : "active";
    this.provers.delete(number);
    const isOurs = known?.killCause !== undefined && known.killCause !== "wedged";
    const line = { device: this.id, role, pid: known?.prover.pid, cause, detail: exit.detail };
    log[isOurs ? "info" : "error"](line, "prover ended");
    if (cause !== "closed") metrics.proverRestarts.inc({ cause });
    this.step({ kind: "exited", prover: number, why: exit.detail });
  }

  private killProver(number: number, cause: KillCause): void {
    const known = this.provers.get(number);
    if (known === undefined) return;
    known.killCause ??= cause;
    if (this.machine.active?.prover === number) this.abandonRun();
    known.prover.kill();
  }

  /** Whatever the run still gives is of no use; how long its proof took at least, is. */
  private abandonRun(): void {
    const proof = this.run?.proof;
    if (proof !== undefined) {
      const ranMs = this.modules.clock.nowMs() - proof.startedAtMs;
      this.costs.learnAtLeast(proof.shape, ranMs);
    }
    this.run = undefined;
  }

  private async prove(attempt: number): Promise<void> {
    const { run } = this;
    const active = this.machine.active;
    const prover = active === null ? undefined : this.provers.get(active.prover)?.prover;
    if (run?.attempt !== attempt || prover === undefined) {
      throw new Error(`lane ${this.id} has no run for attempt ${attempt}`);
    }
    run.result = await proveGroup(run.job.work, {
      description: prover.description,
      checker: run.checker,
      choosePart: (raws, children) => this.choosePart(run.job, raws, children),
      prove: (job) => this.timedProof(run, prover, job),
    });
    this.step({ kind: "ended", attempt, residentBytes: prover.residentBytes() });
  }

  private choosePart(job: LaneJob, raws: Raws, children: readonly ChildWork[]) {
    const nowMs = this.modules.clock.nowMs();
    const isFirst = job.isFirstOfSession && !job.isRetry;
    const isOverdue = nowMs >= job.deadlineAtMs && !isFirst && !job.isRetry;
    const part = choosePart({
      raws: raws.validators,
      children: children.map(({ validators }) => validators),
      rotation: job.rotation,
      mayBeCut: job.mayBeCut,
      fits: (shape) => nowMs + pessimisticMs(this.cost, shape) < job.fenceAtMs,
      mayStart: (shape) => job.isTry || nowMs + predictMs(this.cost, shape) < job.fenceAtMs,
    });
    if (part !== undefined && !isProof(part)) return part;
    if (isOverdue || nowMs >= job.fenceAtMs) return "deadline";
    return part ?? "predicted_miss";
  }

  private async timedProof(run: Run, prover: Prover, job: ProveJob) {
    const { clock } = this.modules;
    const raws = job.keys.length / prover.description.publicKeyBytes;
    const shape = { raws, children: job.children.length };
    const startedAtMs = clock.nowMs();
    run.proof = { startedAtMs, shape };
    const overrunAtMs = startedAtMs + overrunMs(this.cost, shape);
    this.step({ kind: "proof_started", attempt: run.attempt, overrunAtMs });
    const wasDisturbed = this.isWarming();
    const proof = await prover.aggregate(job);
    const proveMs = clock.nowMs() - startedAtMs;
    // Beside a setup, which takes all cores too, a proof says nothing of its own cost.
    const isDisturbed = wasDisturbed || this.isWarming();
    if (!isDisturbed) this.learn(shape, proveMs);
    this.modules.metrics.proofs.inc({ disturbed: isDisturbed ? "true" : "false" });
    this.modules.metrics.proveSeconds.observe(proveMs / 1000);
    return { proof, proveMs };
  }

  private learn(shape: Shape, proveMs: number): void {
    const ratio = proveMs / predictMs(this.cost, shape);
    this.modules.metrics.costModelRatio.observe({ device: this.id }, ratio);
    this.costs.learn(shape, proveMs);
  }

  private isWarming(): boolean {
    return this.machine.standby?.isReady === false;
  }

  private report(attempt: number): void {
    const { run } = this;
    if (run?.attempt !== attempt || run.result === undefined) {
      throw new Error(`lane ${this.id} has no result for attempt ${attempt}`);
    }
    this.run = undefined;
    this.modules.emit({ kind: "ended", attempt, result: run.result });
  }

  private scheduleBeat(): void {
    const { clock } = this.modules;
    const dueAtMs = clock.nowMs() + BEAT_MS;
    this.cancelBeat = clock.at(dueAtMs, () => {
      const isOnTime = clock.nowMs() - dueAtMs <= BEAT_LATE_MS_MAX;
      // Once more round the loop: what provers have sent by now is read before they are judged.
      this.cancelBeat = clock.at(clock.nowMs(), () => {
        this.beat(isOnTime);
        this.scheduleBeat();
      });
    });
  }

  private beat(isOnTime: boolean): void {
    const nowMs = this.modules.clock.nowMs();
    const silence = (role: "active" | "standby") => {
      const held = this.machine[role];
      const prover = held?.isReady === true ? this.provers.get(held.prover)?.prover : undefined;
      return prover === undefined || !isOnTime ? -Infinity : nowMs - prover.heardAtMs();
    };
    const list = this.proverList();
    this.step({
      kind: "beat",
      activeSilentMs: silence("active"),
      standbySilentMs: silence("standby"),
      residentBytes: list.find(({ role }) => role === "active")?.residentBytes ?? 0,
    });
    for (const role of ["active", "standby"] as const) {
      const prover = list.find((each) => each.role === role);
      const labels = { device: this.id, role };
      this.modules.metrics.proverResidentBytes.set(labels, prover?.residentBytes ?? 0);
      this.modules.metrics.proverReady.set(labels, prover?.isReady === true ? 1 : 0);
    }
  }
}
