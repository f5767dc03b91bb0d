/**
 * The costs of one device, with a model for each kind of proofs and rate. Before the device takes work, they are loaded from the store or
 * measured by calibration proofs; every later proof teaches its kind and rate. Owned by the device's lane.
 */
import type { Clock } from "../../clock.js";
import type { Logger } from "../../log/log.js";
import type { AwakeClock } from "../awake-clock.js";
import type { Device } from "../device.js";
import type { Prover } from "../../prover/prover.js";
import { ProverError } from "../../prover/prover.js";
import type { CostModel } from "../../work/costs/cost-model.js";
import {
  learn,
  learnAtLeast,
  likelyMs,
  overrunMs,
  uncertaintyOf,
} from "../../work/costs/cost-model.js";
import type { CostKey, Costs, RateCosts } from "../../work/costs/costs.js";
import { agedCosts, modelOf, withModel } from "../../work/costs/costs.js";
import { kindOf, smallestShape } from "../../work/shape.js";
import type { ProofSystemName } from "../../work/prover-description.js";
import { proofSystemOf } from "../../work/prover-description.js";
import type { Shape } from "../../work/shape.js";
import type { MemoryModel } from "../../work/costs/memory-model.js";
import { fitsInMemory, learnPeak } from "../../work/costs/memory-model.js";
import { Probes } from "./probes.js";

/** The uncertainty of each model is brought up to date when it is older than this, in milliseconds. */
const AGE_EVERY_MS = 1000;

/** Milliseconds after which a peak above the ceiling is forgotten. */
const FORGET_PEAK_MS = 600_000;
/** Doubt (see `learn`) about a calibration proof. */
const DOUBT = 0.3;
/**
 * Uncertainty above which costs are refreshed: reached right after a calibration, and five minutes
 * after the last proof of a shape.
 */
const UNCERTAINTY_MAX = 0.25;

/** A small proof that refreshes the costs. */
export interface Refresh {
  readonly shape: Shape;
  /** How long it takes, as far as is known. */
  readonly expectedMs: number;
}

export interface LearnedCostsModules {
  clock: Clock;
  awake: AwakeClock;
  log: Logger;
}

export class LearnedCosts {
  private learned: Costs = [];
  private peaks: MemoryModel = [];
  /** Since when a peak is above the ceiling; Infinity without such a peak. */
  private highSinceMs = Infinity;
  /** The instant for which the uncertainty of `learned` is. */
  private agedAtMs = -Infinity;
  /** What the first prover of the proof system held after its setup; undefined before. */
  setupBytes: number | undefined;
  private probes: Probes;
  /** The rate of the last fold, also of the run before, which is what refreshing measures. */
  private lastRate = 0;
  private phase: "unprepared" | "calibrating" | "prepared" = "unprepared";
  private proofSystem = "";

  constructor(
    private readonly device: Device,
    private readonly modules: LearnedCostsModules,
  ) {
    this.probes = new Probes(device.calibration);
  }

  /** The models by kind and rate. Their uncertainty may be a second old, as they are read often. */
  get all(): Costs {
    const nowMs = this.modules.clock.nowMs();
    if (nowMs - this.agedAtMs > AGE_EVERY_MS) {
      this.learned = agedCosts(this.learned, nowMs);
      this.agedAtMs = nowMs;
    }
    return this.learned;
  }

  /** The model of proofs of this shape. Default: folds at the backend's default rate. */
  modelOf(key: CostKey = {}): CostModel {
    return modelOf(this.all, key);
  }

  /** What is known of the memory that proofs take. */
  get memory(): MemoryModel {
    return this.peaks;
  }

  /**
   * Learns from the peak memory of a proof.
   *
   * @param before resident bytes of the prover before the proof, of which what it held after its
   *   setup is part of any proof's peak, and the rest is left of earlier ones
   */
  learnPeak(shape: Shape, peakBytes: number, before: { bytes: number; setupBytes: number }): void {
    if (peakBytes <= 0) return;
    const leftBytes = Math.max(0, before.bytes - before.setupBytes);
    this.peaks = learnPeak(this.peaks, shape, Math.max(1, peakBytes - leftBytes));
    this.save();
  }

  /**
   * Whether a proof of this shape is predicted to stay below the ceiling. What was measured above it
   * is forgotten after ten minutes, so that one odd proof locks no shape out.
   */
  fitsInMemory(shape: Shape, ceilingBytes: number): boolean {
    const nowMs = this.modules.clock.nowMs();
    const isBelow = ({ bytes }: { bytes: number }) => bytes <= ceilingBytes;
    if (nowMs >= this.highSinceMs + FORGET_PEAK_MS) this.peaks = this.peaks.filter(isBelow);
    // The next high peak locks its shape out for ten minutes of its own.
    if (this.peaks.every(isBelow)) this.highSinceMs = Infinity;
    else this.highSinceMs = Math.min(this.highSinceMs, nowMs);
    return fitsInMemory(this.peaks, shape, ceilingBytes);
  }

  /** Whether `prepare` has ended for a prover of this proof system. */
  isPreparedFor(prover: ProofSystemName): boolean {
    return this.phase === "prepared" && this.proofSystem === proofSystemOf(prover);
  }

  get isCalibrating(): boolean {
    return this.phase === "calibrating";
  }

  /** Learns from a proof that took `tookMs` milliseconds. */
  learn(shape: Shape, tookMs: number): void {
    if (kindOf(shape) === "fold") this.lastRate = shape.logInvRate ?? 0;
    const model = learn(this.modelOf(shape), shape, tookMs, this.modules.clock.nowMs());
    this.keep(withModel(this.learned, shape, model));
  }

  /** Learns from a proof that was killed after `ranMs` milliseconds. */
  learnAtLeast(shape: Shape, ranMs: number): void {
    const model = learnAtLeast(this.modelOf(shape), shape, ranMs, this.modules.clock.nowMs());
    this.keep(withModel(this.learned, shape, model));
  }

  /**
   * Loads the kept costs or, without any, makes the calibration proofs with the device's first
   * prover of a proof system: of a raw signature, and of a child. Tried once: without calibration inputs, or when a
   * proof fails, costs are learned from the first proofs of groups. Never rejects.
   *
   * @param giveUp called to kill the prover when a calibration proof takes far too long
   * @returns false when the prover has died
   */
  async prepare(prover: Prover, giveUp: () => void): Promise<boolean> {
    const { id: deviceId, calibration, costStore } = this.device;
    const { log } = this.modules;
    const proofSystem = proofSystemOf(prover.description);
    if (proofSystem !== this.proofSystem) this.forget();
    this.proofSystem = proofSystem;
    this.setupBytes ??= prover.residentBytes();
    const kept = costStore?.load(deviceId, this.proofSystem);
    this.learned = kept?.costs ?? [];
    this.peaks = kept?.memory ?? [];
    this.lastRate = rateOfBestKnown(this.all);
    this.phase = "calibrating";
    const isUsable =
      kept !== undefined || calibration === undefined || (await this.calibrate(prover, giveUp));
    this.phase = "prepared";
    if (kept === undefined && calibration === undefined) {
      log.info({ device: deviceId }, "no calibration; costs are learned from the first proof");
    }
    return isUsable;
  }

  /**
   * The small proof that refreshes what is most uncertain of the costs in use; undefined when all
   * are certain enough, without a calibration, or where the proof would pass the ceiling.
   */
  refreshDue(prover: Prover, ceilingBytes: number): Refresh | undefined {
    const model = this.modelOf({ logInvRate: this.lastRate });
    const fits = (shape: Shape) => this.fitsInMemory(shape, ceilingBytes);
    const all = this.probes
      .shapes(prover, this.lastRate)
      .filter((shape) => fits(shape) && fits(this.probes.firstFor(shape)))
      .map((shape) => ({ shape, uncertainty: uncertaintyOf(model, shape) }))
      .sort((a, b) => b.uncertainty - a.uncertainty);
    const [most] = all;
    if (most === undefined || most.uncertainty <= UNCERTAINTY_MAX) return undefined;
    const shape = this.probes.firstFor(most.shape);
    return { shape, expectedMs: likelyMs(model, shape) };
  }

  /**
   * Makes a proof to refresh the costs; `disturbed` when the service stood still meanwhile. Never
   * rejects.
   *
   * @param giveUp called to kill the prover when the proof takes far too long
   */
  async refresh(
    prover: Prover,
    shape: Shape,
    giveUp: () => void,
  ): Promise<"learned" | "disturbed" | "failed"> {
    const { log } = this.modules;
    const startedAtMs = this.modules.awake.nowMs();
    try {
      const tookMs = await this.time(prover, shape, giveUp);
      if (tookMs === undefined) return "disturbed";
      this.learn(shape, tookMs);
      const line = { device: this.device.id, ...shape, tookMs: Math.round(tookMs) };
      log.debug(line, "costs refreshed");
      return "learned";
    } catch (error) {
      this.learnAtLeast(shape, this.modules.awake.nowMs() - startedAtMs);
      const cause = error instanceof Error ? error.message : String(error);
      log.debug({ device: this.device.id, cause }, "costs not refreshed");
      return "failed";
    }
  }

  private async calibrate(prover: Prover, giveUp: () => void): Promise<boolean> {
    const { log } = this.modules;
    const device = this.device.id;
    try {
      for (const shape of this.probes.shapes(prover, 0)) {
        const tookMs =
          (await this.time(prover, shape, giveUp)) ?? (await this.time(prover, shape, giveUp));
        if (tookMs === undefined) {
          throw new Error("the service stood still during each calibration proof");
        }
        // Other work may run beside it, as at the start of a machine.
        const model = learn(this.modelOf(), shape, tookMs, this.modules.clock.nowMs(), DOUBT);
        this.keep(withModel(this.learned, shape, model));
        log.info({ device, ...shape, tookMs: Math.round(tookMs) }, "calibrated");
      }
      return true;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      log.warn({ device, cause }, "calibration failed; costs are learned from the first proof");
      return !(error instanceof ProverError && error.kind === "died");
    }
  }

  /** The milliseconds of a proof; undefined when the service stood still meanwhile. */
  private async time(
    prover: Prover,
    shape: Shape,
    giveUp: () => void,
  ): Promise<number | undefined> {
    const { awake } = this.modules;
    const { stoodStillMs } = awake;
    const startedAtMs = awake.nowMs();
    const bytes = prover.residentBytes();
    const overAtMs = startedAtMs + overrunMs(this.modelOf(shape), shape);
    const cancel = awake.at(overAtMs, giveUp);
    try {
      await this.probes.prove(prover, shape);
      this.learnPeak(shape, prover.peakBytes(), { bytes, setupBytes: this.setupBytes ?? bytes });
      return awake.stoodStillMs > stoodStillMs ? undefined : awake.nowMs() - startedAtMs;
    } finally {
      cancel();
    }
  }

  /** Forgets what was measured with another proof system. */
  private forget(): void {
    this.probes = new Probes(this.device.calibration);
    this.setupBytes = undefined;
    this.highSinceMs = Infinity;
  }

  private keep(costs: Costs): void {
    this.learned = costs;
    this.save();
  }

  private save(): void {
    const learned = { costs: this.learned, memory: this.peaks };
    this.device.costStore?.save(this.device.id, this.proofSystem, learned);
  }
}

/** The rate of the folds whose costs are most certain: they were proved last. 0 without any. */
function rateOfBestKnown(costs: Costs): number {
  const doubtOf = ({ model }: RateCosts) => uncertaintyOf(model, smallestShape);
  const folds = costs.filter(({ kind }) => kind === "fold");
  const [best] = folds.toSorted((a, b) => doubtOf(a) - doubtOf(b));
  return best?.logInvRate ?? 0;
}
