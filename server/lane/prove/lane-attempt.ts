/**
 * One attempt on a lane: proves its group with the active prover, chooses the part of a fold that is worth
 * most, and teaches the cost model how long the proof took. The lane owns the attempt until the attempt has
 * ended or is abandoned.
 */
import type { Clock } from "../../clock.js";
import type { Metrics } from "../../metrics/metrics.js";
import type { ProofJob, Prover } from "../../prover/prover.js";
import { durationOf, overrunMs, predictMs } from "../../work/costs/cost-model.js";
import { isSmallest } from "../../work/costs/memory-model.js";
import type { FoldLimits } from "../../work/fold-limits.js";
import { fitsOneJob } from "../../work/fold-limits.js";
import type {
  ChildWork,
  MergeWork,
  NotStartedReason,
  ProofResult,
  Raws,
} from "../../work/group.js";
import { worthOfMerge } from "../../work/merge-worth.js";
import { choosePart, isProof } from "../../work/parts.js";
import type { Part, PartRules } from "../../work/parts.js";
import type { Shape } from "../../work/shape.js";
import { atRate, shapeOf } from "../../work/shape.js";
import { prospectOf } from "../../work/worth.js";
import type { AwakeClock } from "../awake-clock.js";
import type { Assignment, RunningProof } from "../lane-messages.js";
import type { LearnedCosts } from "../costs/learned-costs.js";
import { proveGroup } from "./prove-group.js";
import type { FailoverVerifier } from "./verifier.js";

export interface LaneAttemptModules {
  deviceId: string;
  clock: Clock;
  awake: AwakeClock;
  metrics: Metrics;
  costs: LearnedCosts;
  verifier: FailoverVerifier;
  /**
   * Called when the proof begins; after the instant `overrunAtMs` of the clock `awake` its prover
   * counts as hung.
   */
  onProofStarted(overrunAtMs: number): void;
  /** What a fold may have: no other part is proved. */
  foldLimits: FoldLimits;
  /** Resident bytes that the prover may hold. */
  ceilingBytes(): number;
  /**
   * Setups of a standby, each of which uses all cores of the device, as a proof does: the number of the last
   * one, and whether it is going on.
   */
  standbySetups(): { last: number; isRunning: boolean };
}

export class LaneAttempt {
  /** The attempt's proof; null until the inputs are verified. */
  proof: RunningProof | null = null;
  /** When the proof began, on the clock `awake`. */
  private proofAwakeAtMs = 0;
  private hasProcess = false;
  /** The prover that makes the proof; undefined before it begins, and once it is made. */
  private proving: Prover | undefined;
  /** How the attempt ended; undefined until `run` resolves. */
  result: ProofResult | undefined;
  /** Set once nobody wants the result any more: it ends with the answer to the verification that runs. */
  isGivenUp = false;

  constructor(
    readonly number: number,
    private readonly assignment: Assignment,
    private readonly modules: LaneAttemptModules,
  ) {}

  /** Number of provers that died or hung while they verified for this attempt. */
  get deaths(): number {
    return this.modules.verifier.deaths;
  }

  /**
   * Whether the attempt ended because its prover died or hung: that one is asked for a verification when
   * no other has answered.
   */
  get isWedged(): boolean {
    return this.result?.kind === "failed" && this.result.reason === "prover_died";
  }

  /** Makes the attempt; resolves once `result` is set, also when the attempt failed. */
  async run(prover: Prover): Promise<void> {
    this.hasProcess = prover.residentBytes() > 0;
    this.result = await proveGroup(this.assignment.work, {
      description: prover.description,
      verifier: this.modules.verifier,
      verifiedBy: () => (this.modules.verifier.lastAsked === prover ? "prover" : "standby"),
      minInputs: this.assignment.minInputs,
      choosePart: (raws, children) => this.choosePart(raws, children),
      whyNotMerge: (merge) => this.whyNotMerge(merge),
      prove: (job) => this.prove(prover, job),
    });
  }

  /**
   * Call it when the prover is killed, but for silence: learns that the proof takes at least as long as it
   * ran. Also beside the set-up of a standby: each kill brings the next one, and a device whose every proof
   * is killed would never learn to prove less.
   */
  abandon(): void {
    // A proof that is made, and is being verified, has taught its duration.
    if (this.proof === null || this.proving === undefined) return;
    const { awake, costs } = this.modules;
    // While the service stood still, the prover may have proved or not: it ran at least this long.
    costs.learnAtLeast(this.proof.shape, awake.nowMs() - this.proofAwakeAtMs);
  }

  /**
   * Call it when the prover has been killed for memory, or had too little: learns that its proof takes more than
   * the ceiling, or it would be started and killed again each slot. The smallest proof is tried once more first:
   * nothing smaller could be proved instead, and one death may have another cause.
   */
  ranOutOfMemory(): void {
    const { proof, proving } = this;
    if (proof === null || proving === undefined) return;
    if (isSmallest(proof.shape) && !this.assignment.isRetry) return;
    const { costs, ceilingBytes } = this.modules;
    const ceiling = ceilingBytes();
    const bytes = Math.max(proving.peakBytes(), Number.isFinite(ceiling) ? ceiling + 1 : 0);
    costs.learnPeak(proof.shape, bytes, { bytes: 0, setupBytes: 0 });
  }

  private choosePart(raws: Raws, children: readonly ChildWork[]): Part | NotStartedReason {
    const { mayShed, rotation } = this.assignment;
    const rules = {
      raws: raws.validators,
      children: children.map(({ validators }) => validators),
      rotation,
      mayShed,
      ...this.rules(),
    };
    const { foldLimits } = this.modules;
    const isJob = (shape: Shape) => fitsOneJob(foldLimits, shape);
    const isPossible = (shape: Shape) => isJob(shape) && this.fitsInMemory(shape);
    const part = choosePart({ ...rules, isPossible });
    if (part !== undefined && !isProof(part)) return part;
    if (this.isTooLate()) return "deadline";
    if (part !== undefined) return part;
    return choosePart({ ...rules, isPossible: isJob }) === undefined ? "predicted_miss" : "memory";
  }

  private whyNotMerge(merge: MergeWork): NotStartedReason | undefined {
    if (this.isTooLate()) return "deadline";
    const best = worthOfMerge(merge, this.rules());
    if (best === undefined) return "predicted_miss";
    return this.fitsInMemory(best.shape) ? undefined : "memory";
  }

  /** How likely a proof that starts now is in time, and how likely it has to be. */
  private rules(): Pick<PartRules, "prospectOf" | "leastChance"> {
    const { work, steps, fenceAtMs, isExploration } = this.assignment;
    const model = this.modules.costs.modelOf(shapeOf(work));
    const nowMs = this.modules.clock.nowMs();
    return {
      prospectOf: (shape) => prospectOf({ steps, fenceAtMs }, nowMs, durationOf(model, shape)),
      ...(isExploration && { leastChance: 0 }),
    };
  }

  private isTooLate(): boolean {
    const { deadlineAtMs, fenceAtMs, isFirstOfSession, isRetry } = this.assignment;
    const nowMs = this.modules.clock.nowMs();
    return nowMs >= fenceAtMs || (nowMs >= deadlineAtMs && !isFirstOfSession && !isRetry);
  }

  /** A prover without a process of its own, the fake one, takes no memory that counts. */
  private fitsInMemory(shape: Shape): boolean {
    const { costs, ceilingBytes } = this.modules;
    if (!this.hasProcess) return true;
    const ofRate = atRate(shape, this.assignment.work.logInvRate);
    return costs.fitsInMemory(ofRate, ceilingBytes());
  }

  private async prove(prover: Prover, job: ProofJob) {
    const { clock, awake, costs, metrics, deviceId, onProofStarted } = this.modules;
    const { standbySetups } = this.modules;
    const { logInvRate } = job;
    const { publicKeyBytes } = prover.description;
    const raws = job.raws.reduce((sum, { keys }) => sum + keys.length / publicKeyBytes, 0);
    const shape = atRate({ raws, children: job.children.length, ...messagesOf(job) }, logInvRate);
    const startedAtMs = clock.nowMs();
    this.proof = { startedAtMs, shape };
    this.proofAwakeAtMs = awake.nowMs();
    onProofStarted(this.proofAwakeAtMs + overrunMs(costs.modelOf(shape), shape));
    const { stoodStillMs } = awake;
    const setupsBefore = standbySetups();
    const bytes = prover.residentBytes();
    this.proving = prover;
    const proof = await prover.prove(job);
    this.proving = undefined;
    const proveMs = clock.nowMs() - startedAtMs;
    // A prover that has kept more than the ceiling has leaked, and is replaced: no need of the shape.
    if (prover.residentBytes() <= this.modules.ceilingBytes()) {
      costs.learnPeak(shape, prover.peakBytes(), { bytes, setupBytes: costs.setupBytes ?? bytes });
    }
    // A proof beside the setup of a standby is slower than usual, and while the service stood still
    // nobody knows when the proof was ready: nothing is learned from either.
    const didStandStill = awake.stoodStillMs > stoodStillMs;
    const hadSetup = setupsBefore.isRunning || standbySetups().last !== setupsBefore.last;
    const isDisturbed = hadSetup || didStandStill;
    if (!isDisturbed) {
      const ratio = proveMs / predictMs(costs.modelOf(shape), shape);
      metrics.costModelRatio.observe({ device: deviceId }, ratio);
      costs.learn(shape, proveMs);
    }
    metrics.proofs.inc({ disturbed: isDisturbed ? "true" : "false" });
    metrics.proveSeconds.observe(proveMs / 1000);
    metrics.proverPeakBytes.set({ device: deviceId }, prover.peakBytes());
    return { proof, proveMs };
  }
}

function messagesOf({ kind, wanted }: ProofJob): Pick<Shape, "messages"> {
  return kind === "merge" ? { messages: wanted.length } : {};
}
