/**
 * The costs of one device, with a model for each rate. Before the device takes work, they are loaded from the store or
 * scaled by one calibration proof; every later proof teaches its rate. Owned by the device's lane.
 */
import type { Clock } from "../clock.js";
import type { Logger } from "../log/log.js";
import type { AwakeClock } from "./awake-clock.js";
import type { Device } from "./device.js";
import type { Prover, ProofRequest } from "../prover/prover.js";
import { ProverError } from "../prover/prover.js";
import type { CostModel } from "../work/cost-model.js";
import { learn, learnAtLeast, overrunMs } from "../work/cost-model.js";
import type { Costs } from "../work/costs.js";
import { agedCosts, modelOf, withModel } from "../work/costs.js";
import type { Shape } from "../work/shape.js";
import { smallestShape } from "../work/shape.js";

/** The uncertainty of each model is brought up to date when it is older than this, in milliseconds. */
const AGE_EVERY_MS = 1000;

/** Calibration proofs to try, where the service stands still while one is timed. */
const CALIBRATIONS_MAX = 2;

export interface LearnedCostsModules {
  clock: Clock;
  awake: AwakeClock;
  log: Logger;
}

export class LearnedCosts {
  private learned: Costs = [];
  /** The instant for which the uncertainty of `learned` is. */
  private agedAtMs = -Infinity;
  private phase: "unprepared" | "calibrating" | "prepared" = "unprepared";
  private proofSystem = "";

  constructor(
    private readonly device: Device,
    private readonly modules: LearnedCostsModules,
  ) {}

  /** The models by rate. Their uncertainty may be a second old, as they are read often. */
  get all(): Costs {
    const nowMs = this.modules.clock.nowMs();
    if (nowMs - this.agedAtMs > AGE_EVERY_MS) {
      this.learned = agedCosts(this.learned, nowMs);
      this.agedAtMs = nowMs;
    }
    return this.learned;
  }

  /** The model of proofs at this rate. */
  modelOf(logInvRate = 0): CostModel {
    return modelOf(this.all, logInvRate);
  }

  get isPrepared(): boolean {
    return this.phase === "prepared";
  }

  get isCalibrating(): boolean {
    return this.phase === "calibrating";
  }

  /** Learns from a proof that took `tookMs` milliseconds. */
  learn(shape: Shape, tookMs: number): void {
    const { logInvRate = 0 } = shape;
    const model = learn(this.modelOf(logInvRate), shape, tookMs, this.modules.clock.nowMs());
    this.keep(withModel(this.learned, logInvRate, model));
  }

  /** Learns from a proof that was killed after `ranMs` milliseconds. */
  learnAtLeast(shape: Shape, ranMs: number): void {
    const { logInvRate = 0 } = shape;
    const model = learnAtLeast(this.modelOf(logInvRate), shape, ranMs, this.modules.clock.nowMs());
    this.keep(withModel(this.learned, logInvRate, model));
  }

  /**
   * Loads the kept costs or, without any, makes the calibration proof with the device's first
   * prover. Tried once: without calibration inputs, or when that proof fails, costs are learned from
   * the first proof of a group. Never rejects.
   *
   * @param giveUp called to kill the prover when the calibration proof takes far too long
   * @returns false when the prover has died
   */
  async prepare(prover: Prover, giveUp: () => void): Promise<boolean> {
    const { id: deviceId, calibration, costStore } = this.device;
    const { log } = this.modules;
    const { scheme, revision } = prover.description;
    this.proofSystem = `${scheme} ${revision}`;
    const kept = costStore?.load(deviceId, this.proofSystem);
    this.learned = kept?.costs ?? [];
    this.phase = "calibrating";
    const isUsable =
      kept !== undefined ||
      calibration === undefined ||
      (await this.calibrate(prover, calibration, giveUp));
    this.phase = "prepared";
    if (kept === undefined && calibration === undefined) {
      log.info({ device: deviceId }, "no calibration; costs are learned from the first proof");
    }
    return isUsable;
  }

  private async calibrate(
    prover: Prover,
    request: ProofRequest,
    giveUp: () => void,
  ): Promise<boolean> {
    const { awake, log } = this.modules;
    const { id: deviceId } = this.device;
    let cancel = () => {};
    try {
      for (let tries = 0; tries < CALIBRATIONS_MAX; tries++) {
        const { stoodStillMs } = awake;
        const startedAtMs = awake.nowMs();
        cancel();
        cancel = awake.at(startedAtMs + overrunMs(this.modelOf(), smallestShape), giveUp);
        await prover.aggregate(request);
        if (awake.stoodStillMs > stoodStillMs) continue;
        const tookMs = awake.nowMs() - startedAtMs;
        this.learn(smallestShape, tookMs);
        log.info({ device: deviceId, tookMs: Math.round(tookMs) }, "calibrated");
        return true;
      }
      throw new Error("the service stood still during each calibration proof");
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      log.warn(
        { device: deviceId, cause },
        "calibration failed; costs are learned from the first proof",
      );
      return !(error instanceof ProverError && error.kind === "died");
    } finally {
      cancel();
    }
  }

  private keep(costs: Costs): void {
    this.learned = costs;
    this.device.costStore?.save(this.device.id, this.proofSystem, { costs });
  }
}
