/**
 * One lane: feeds events to its state machine, carries out the effects, and announces the state.
 * Owns its prover processes and its beat, and ends them in `close`. The scheduler reaches a lane
 * only by the messages of `lane-messages.ts`.
 */
import { assertNever } from "../errors.js";
import type { Clock } from "../clock.js";
import type { Logger } from "../log/log.js";
import type { DeviceDuty } from "../metrics/device-metrics.js";
import type { Metrics } from "../metrics/metrics.js";
import type { Prover } from "../prover/prover.js";
import { foldLimitsOf, noFoldLimits, withLeafRawsMax } from "../work/fold-limits.js";
import type { ProverDescription } from "../work/prover-description.js";
import { proofSystemOf } from "../work/prover-description.js";
import { AwakeClock } from "./awake-clock.js";
import { Beat } from "./beat.js";
import type { Device } from "./device.js";
import { LaneAttempt } from "./prove/lane-attempt.js";
import type {
  Assignment,
  FromLane,
  KillCause,
  LaneProver,
  ReportedPhase,
  ToLane,
} from "./lane-messages.js";
import type { HeldProver, LaneEffect, LaneEvent, LaneOptions, LaneState } from "./lane-events.js";
import { whyNoStandby } from "./lane-standby.js";
import { freshLane, transitionLane } from "./lane-state.js";
import { LearnedCosts } from "./costs/learned-costs.js";
import type { Refresh } from "./costs/learned-costs.js";
import { Refresher } from "./costs/refresher.js";
import { ProverSlots } from "./prover-slots.js";
import { FailoverVerifier } from "./prove/verifier.js";

export interface LaneModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  /** Sends a message to the scheduler. */
  emit(message: FromLane): void;
}

type DeathReport = Extract<LaneEffect, { kind: "report_death" }>;

export class Lane {
  private machine: LaneState = freshLane;
  /** Provers are timed by it; the state machine runs on it. */
  private readonly awake: AwakeClock;
  private readonly costs: LearnedCosts;
  private readonly slots: ProverSlots;
  private readonly beat: Beat;
  private readonly refresher: Refresher;
  /** The refresh to make when the state machine says so. */
  private refreshDue: Refresh | undefined;
  private attempt: LaneAttempt | undefined;
  private description: ProverDescription | null = null;
  private announcements = 0;
  /** Until when the device's time is counted, on the clock `awake`. */
  private countedToMs: number;

  constructor(
    readonly device: Device,
    private readonly options: LaneOptions,
    private readonly modules: LaneModules,
  ) {
    const { clock, log, metrics } = modules;
    this.awake = new AwakeClock(clock);
    this.countedToMs = this.awake.nowMs();
    this.costs = new LearnedCosts(device, { clock, log, awake: this.awake });
    const { costs } = this;
    this.refresher = new Refresher(options, { clock, metrics, costs });
    this.slots = new ProverSlots(device, {
      log,
      metrics,
      refusal: (number, description) => this.refusal(number, description),
      onReady: (number, prover) => this.proverReady(number, prover),
      onExited: (number, why, cause) =>
        this.step({
          ...{ kind: "exited", prover: number, why },
          ...{ isRefused: cause === "refused", isOutOfMemory: cause === "killed_for_memory" },
        }),
      roleOf: (number) => (this.machine.standby?.prover === number ? "standby" : "active"),
    });
    this.beat = new Beat(clock, this.awake, () => this.onBeat());
  }

  /** Begins to set the first prover up, and starts the beat. Returns at once. */
  open(): void {
    this.step({ kind: "open" });
    this.beat.start();
  }

  /** Takes a message of the scheduler. */
  receive(message: ToLane): void {
    // A lane of this process has one scheduler, and so lists nothing that another might adopt.
    if (message.kind === "adopt") return;
    const { kind } = this.machine.phase;
    if (message.kind === "assign" && kind !== "proving" && kind !== "handing_over") {
      // Kept before the state machine decides: its `run` effect names the attempt by number only.
      this.attempt = this.attemptAt(message.attempt, message.assignment);
    }
    this.step(message);
  }

  get phase(): LaneState["phase"] {
    return this.machine.phase;
  }

  /** The prover processes that live, the active one first. */
  provers(): LaneProver[] {
    return this.slots.list(this.machine);
  }

  /** Provers that can verify now; the standby first, because it did not make the proof. */
  verifyingProvers(): Prover[] {
    const { standby, active, phase } = this.machine;
    const isActiveUp = phase.kind === "idle" || phase.kind === "proving";
    const held: (HeldProver | null)[] = [standby, isActiveUp ? active : null];
    return held.flatMap((each) => this.slots.readyProverOf(each) ?? []);
  }

  /** Provers that can verify now and delay no proof by it: the standby, and an idle one. */
  spareProvers(): Prover[] {
    const { standby, active, phase } = this.machine;
    const held = [standby, phase.kind === "idle" ? active : null];
    return held.flatMap((each) => this.slots.readyProverOf(each) ?? []);
  }

  /** Kills every prover and resolves once all processes have ended. Idempotent. */
  async close(): Promise<void> {
    this.beat.stop();
    this.step({ kind: "close" });
    await this.slots.allExited();
  }

  private step(event: LaneEvent): void {
    const { isDrained: wasDrained } = this.machine;
    const nowMs = this.awake.nowMs();
    this.countTime(nowMs);
    const { state, effects } = transitionLane(this.machine, event, nowMs, this.options);
    this.machine = state;
    this.noteGap(state);
    const { isDrained } = state;
    if (isDrained !== wasDrained) {
      this.modules.metrics.deviceDrained.set({ device: this.device.id }, isDrained ? 1 : 0);
    }
    for (const effect of effects) this.apply(effect);
  }

  private apply(effect: LaneEffect): void {
    switch (effect.kind) {
      case "start_prover":
        return this.slots.start(effect.prover);
      case "kill_prover":
        return this.killProver(effect.prover, effect.cause);
      case "run":
        return void this.run(effect.attempt);
      case "refresh":
        return void this.refresh();
      case "report":
        return this.report(effect.attempt);
      case "report_death":
        return this.reportDeath(effect);
      case "announce":
        return this.announce();
      default:
        return assertNever(effect);
    }
  }

  private attemptAt(number: number, assignment: Assignment): LaneAttempt {
    const { awake } = this;
    const { clock, metrics } = this.modules;
    // One that is given up leaves the provers to the next.
    const provers = () => (attempt.isGivenUp ? [] : this.verifyingProvers());
    const attempt: LaneAttempt = new LaneAttempt(number, assignment, {
      deviceId: this.device.id,
      clock,
      awake,
      metrics,
      costs: this.costs,
      foldLimits: this.description === null ? noFoldLimits : foldLimitsOf(this.description),
      verifier: new FailoverVerifier({ clock: awake, metrics, provers }),
      onProofStarted: (overrunAtMs) =>
        this.step({ kind: "proof_started", attempt: number, overrunAtMs }),
      ceilingBytes: () => this.options.residentBytesMax,
      standbySetups: () => {
        const { lastProver, standby } = this.machine;
        return { last: lastProver, isRunning: standby?.status === "starting" };
      },
    });
    return attempt;
  }

  /** The result of the attempt, if there is one, is no longer wanted. */
  private giveUpAttempt(): void {
    if (this.attempt !== undefined) this.attempt.isGivenUp = true;
    this.attempt = undefined;
  }

  private async run(number: number): Promise<void> {
    const { attempt } = this;
    const prover = this.slots.proverOf(this.machine.active);
    if (attempt?.number !== number || prover === undefined) {
      throw new Error(`lane ${this.device.id} cannot run attempt ${number}`);
    }
    await attempt.run(prover);
    const residentBytes = prover.residentBytes();
    const { isWedged } = attempt;
    this.step({ kind: "ended", attempt: number, residentBytes, isWedged });
  }

  /** Counts the time since the event before, in which the state was what it is until this one. */
  private countTime(nowMs: number): void {
    const state = dutyOf(this.machine);
    const ms = Math.max(0, nowMs - this.countedToMs);
    this.countedToMs = nowMs;
    if (state === undefined) return;
    this.modules.metrics.deviceSeconds.inc({ device: this.device.id, state }, ms / 1000);
  }

  /** The lane waits for work while it is idle; a wait that ends with an attempt is a gap. */
  private noteGap(state: LaneState): void {
    const duty = dutyOf(state);
    this.refresher.note(duty === "idle", duty === "proving");
  }

  private async refresh(): Promise<void> {
    const { active } = this.machine;
    const prover = this.slots.proverOf(active);
    const due = this.refreshDue;
    if (prover === undefined || active === null || due === undefined) {
      throw new Error(`lane ${this.device.id} cannot refresh its costs`);
    }
    // Beside a standby it was killed already, for an attempt which goes on.
    const giveUp = () => {
      const { active: now } = this.machine;
      if (now?.prover === active.prover && now.status === "ready")
        this.killProver(active.prover, "wedged");
    };
    await this.refresher.run(prover, due, giveUp);
    // A killed prover ends by its exit.
    if (this.machine.active?.prover !== active.prover) return;
    this.step({ kind: "refreshed", residentBytes: prover.residentBytes() });
  }

  private report(number: number): void {
    const { attempt } = this;
    if (attempt?.number !== number || attempt.result === undefined) {
      throw new Error(`lane ${this.device.id} has no result of attempt ${number}`);
    }
    this.attempt = undefined;
    this.modules.log.debug(
      { device: this.device.id, attempt: number, result: attempt.result.kind },
      "attempt ended",
    );
    this.modules.emit({ kind: "ended", attempt: number, result: attempt.result });
  }

  private reportDeath({ attempt: number, why, lesson }: DeathReport): void {
    const attempt = this.attempt?.number === number ? this.attempt : undefined;
    const deaths = 1 + (attempt?.deaths ?? 0);
    if (lesson === "duration") attempt?.abandon();
    if (lesson === "memory") attempt?.ranOutOfMemory();
    this.giveUpAttempt();
    const result = { kind: "failed", reason: "prover_died", detail: why, deaths } as const;
    this.modules.emit({ kind: "ended", attempt: number, result });
  }

  private announce(): void {
    const { lease, standby, isDrained, isRestartDue, commandsDone } = this.machine;
    this.announcements++;
    const { kind } = this.machine.phase;
    this.modules.log.debug({ device: this.device.id, phase: kind, lease }, "lane announces");
    this.modules.emit({
      kind: "announce",
      sequence: this.announcements,
      lease,
      phase: this.reportedPhase(),
      isDrained,
      isRestartDue,
      isStandbyReady: standby?.status === "ready",
      isRefreshing: kind === "refreshing",
      standbyCause: whyNoStandby(this.machine, this.options),
      provers: this.provers(),
      description: this.description,
      costs: this.costs.all,
      memory: this.costs.memory,
      commandsDone,
      adoptable: [],
    });
  }

  private reportedPhase(): ReportedPhase {
    const { phase } = this.machine;
    switch (phase.kind) {
      case "starting":
        return { kind: "starting", isCalibrating: this.costs.isCalibrating };
      case "proving": {
        const { attempt } = phase;
        const proof = this.attempt?.number === attempt ? this.attempt.proof : null;
        return { kind: "proving", attempt, proof };
      }
      case "refreshing":
        // A drain ends no refresh, and the operator who waits is to see the end.
        return this.machine.isDrained
          ? { kind: "proving", attempt: null, proof: null }
          : { kind: "idle" };
      case "handing_over":
        return { kind: "proving", attempt: phase.attempt, proof: null };
      case "failed":
        return { ...phase, retryAtMs: phase.retryAtMs + this.awake.stoodStillMs };
      default:
        return phase;
    }
  }

  /**
   * Why a prover that is set up cannot be used, for people; undefined when it can. A standby proves
   * with the active prover's system, or it would take over work that it cannot prove.
   */
  private refusal(number: number, description: ProverDescription): string | undefined {
    if (this.machine.standby?.prover !== number || this.description === null) return undefined;
    const [own, now] = [proofSystemOf(description), proofSystemOf(this.description)];
    if (own === now) return undefined;
    return (
      `its library now proves ${own}, and the prover of this device ${now}; ` +
      `restart that one to use the new library`
    );
  }

  private proverReady(number: number, prover: Prover): void {
    this.description = withLeafRawsMax(prover.description, this.options.leafRawsMax ?? 0);
    // Before the calibration proof, after which a prover holds more than a standby does.
    const residentBytes = prover.residentBytes();
    const isReady = () => {
      const residentMb = Math.round(residentBytes / 1e6);
      this.modules.log.info(
        { device: this.device.id, pid: prover.pid, residentMb },
        "prover ready",
      );
      this.step({ kind: "ready", prover: number, residentBytes });
    };
    if (this.costs.isPreparedFor(prover.description)) return isReady();
    const prepared = this.costs.prepare(prover, () => this.killProver(number, "wedged"));
    void prepared.then((isUsable) => (isUsable ? isReady() : undefined)); // `prepare` never rejects
    this.announce();
  }

  private killProver(number: number, cause: KillCause | "refresh"): void {
    // The attempt for which a refresh is killed is proved by the standby.
    if (cause === "refresh") this.refresher.stop();
    else if (this.machine.active?.prover === number) {
      this.attempt?.abandon();
      this.giveUpAttempt();
    }
    this.slots.kill(number, cause);
  }

  private onBeat(): void {
    const nowMs = this.modules.clock.nowMs();
    const { resumedAtMs } = this.awake;
    const { active, standby } = this.machine;
    const silenceOf = (held: HeldProver | null) => {
      const prover = this.slots.readyProverOf(held);
      return prover === undefined ? -Infinity : nowMs - Math.max(prover.heardAtMs(), resumedAtMs);
    };
    const prover = this.slots.readyProverOf(active);
    const isIdle = this.machine.phase.kind === "idle";
    this.refreshDue = isIdle && prover !== undefined ? this.refresher.due(prover) : undefined;
    this.step({
      kind: "beat",
      isRefreshDue: this.refreshDue !== undefined,
      activeSilentMs: silenceOf(active),
      standbySilentMs: silenceOf(standby),
      residentBytes: this.slots.proverOf(active)?.residentBytes() ?? 0,
    });
    this.slots.updateMetrics(this.machine);
  }
}

/** What the lane does for its schedule; undefined while it can do nothing. */
function dutyOf({ phase: { kind }, isDrained }: LaneState): DeviceDuty | undefined {
  if (kind === "proving" || kind === "handing_over") return "proving";
  return (kind === "idle" || kind === "refreshing") && !isDrained ? "idle" : undefined;
}
