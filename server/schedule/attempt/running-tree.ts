/**
 * One tree of jobs in progress: the work of each job, its own fence, and what its end makes of the group.
 * Its attempt is that of the whole group, see `attempts.ts`; `trees.ts` says when a job is next.
 */
import { assertNever } from "../../errors.js";
import { concat } from "../../bytes.js";
import type { Assignment } from "../../lane/lane-messages.js";
import { limits } from "../../limits.js";
import type { MemoryShare } from "../../memory-budget.js";
import type { TreeJobs } from "../../session/node-record.js";
import type { ChildWork, FoldWork, LeftOut, ProofResult, Raws } from "../../work/group.js";
import type { FoldLimits } from "../../work/fold-limits.js";
import { inputDigest } from "../../work/input-digest.js";
import type { Part } from "../../work/parts.js";
import type { ProverDescription } from "../../work/prover-description.js";
import type { Shape } from "../../work/shape.js";
import { atRate } from "../../work/shape.js";
import { Tree } from "../../work/tree.js";
import type { TreeEnd, TreeJob, TreeProof } from "../../work/tree.js";
import { withCovered, withOthers } from "./tree-left-out.js";

export interface TreePlan {
  work: FoldWork;
  part: Part;
  limits: FoldLimits;
  /** Of the attempt at the whole group. */
  assignment: Assignment;
  /** The prover's proof system and sizes. */
  sizes: Pick<
    ProverDescription,
    "scheme" | "revision" | "publicKeyBytes" | "signatureBytes" | "anySize"
  >;
}

export interface RunningTreeModules {
  nowMs(): number;
  /** Median of the predicted milliseconds of a job of this shape. */
  predictMs(shape: Shape): number;
  /** Holds the memory of inner proofs; undefined when no more fits. */
  reserve(bytes: number): MemoryShare | undefined;
}

/** How the end of a job is counted. */
export type JobResult = "proved" | "bad_inputs" | "failed" | "missed" | "stopped" | "lost";

/** How the whole has ended: with a result for all waiters, or with none before the fence. */
export type TreeResult = ProofResult | { kind: "missed" };

/** A proof of an earlier job. */
interface InnerProof extends Omit<Extract<ProofResult, { kind: "proved" }>, "kind"> {
  share: MemoryShare;
}

type Failed = Extract<ProofResult, { kind: "failed" }>;

export class RunningTree {
  /** Provers that have died over the jobs. */
  private deaths = 0;
  /** How often a lane was given a job. */
  private tries = 0;
  private readonly tree: Tree;
  private readonly proofs = new Map<number, InnerProof>();
  /** The jobs on lanes, by the attempt's number. */
  private readonly onLanes = new Map<number, { job: TreeJob; startedAtMs: number }>();
  /** Inputs that were found bad. */
  private readonly bad: LeftOut[] = [];
  /** Of jobs that wait for a lane: their inputs are copied only for the lane that gets them. */
  private readonly digests = new Map<number, string>();
  private readonly keys = new Map<number, Uint8Array>();
  private startedAtMs: number | undefined;
  /** Time of the jobs that have ended. */
  private usedBeforeMs = 0;
  /** Why jobs were left out, the weightiest reason first. */
  private failure: Failed | undefined;
  private refusal: Extract<ProofResult, { kind: "not_started" }> | undefined;
  private notStarted: ProofResult | undefined;
  /** Whether the first job came too late for the deadline, and waits again. */
  private isDelayed = false;

  constructor(
    private readonly plan: TreePlan,
    private readonly modules: RunningTreeModules,
  ) {
    const { work, part, limits, assignment } = plan;
    const raws = work.raws.validators;
    const children = work.children.map(({ validators }) => validators);
    this.tree = new Tree({ raws, children, part, limits, mayShed: assignment.mayShed });
    for (const each of [work.raws, ...work.children]) {
      const { publicKeyBytes: size } = plan.sizes;
      each.validators.forEach((validator, at) => {
        this.keys.set(validator, each.keys.subarray(at * size, (at + 1) * size));
      });
    }
  }

  /** The jobs that wait for a lane, folds first. */
  ready(): TreeJob[] {
    return this.end === undefined ? this.tree.ready() : [];
  }

  get jobs(): TreeJobs["jobs"] {
    return { ...this.tree.jobs, tries: this.tries };
  }

  /** The attempts of the jobs that are on lanes. */
  attempts(): number[] {
    return [...this.onLanes.keys()];
  }

  /** Shapes of the jobs that are not on a lane yet. */
  ahead(): Shape[] {
    return this.tree.ahead().map(({ shape }) => this.atRate(shape));
  }

  /** Median of the time that all jobs are predicted to take together. */
  predictedMs(): number {
    return this.ahead().reduce((sum, shape) => sum + this.modules.predictMs(shape), 0);
  }

  /** The time that lanes have had jobs, together. */
  usedMs(): number {
    const nowMs = this.modules.nowMs();
    const running = [...this.onLanes.values()];
    return running.reduce((sum, { startedAtMs }) => sum + nowMs - startedAtMs, this.usedBeforeMs);
  }

  /** The latest end of the job with which the folds that follow are in time, by their medians. */
  fenceOf({ id }: TreeJob, fenceAtMs: number): number {
    const after = this.tree
      .foldsAfter(id)
      .map((shape) => this.modules.predictMs(this.atRate(shape)));
    return after.reduce((atMs, ms) => atMs - ms, fenceAtMs);
  }

  digestOf(job: TreeJob): string {
    return this.digests.get(job.id) ?? this.workOf(job).digest;
  }

  /** What a lane needs for the job. @param fenceAtMs of the group */
  assignmentOf(job: TreeJob, fenceAtMs: number): Assignment {
    const { assignment } = this.plan;
    const isFirst = this.startedAtMs === undefined;
    const isFold = job.kind === "fold";
    return {
      ...this.workOf(job),
      deadlineAtMs: assignment.deadlineAtMs,
      fenceAtMs: this.fenceOf(job, fenceAtMs),
      steps: [],
      isFirstOfSession: assignment.isFirstOfSession,
      // What a fold has is proved already: it is worth any chance.
      isExploration: isFold || assignment.isExploration,
      // Only the first job is judged by the deadline.
      isRetry: assignment.isRetry || !isFirst,
      mayShed: false,
      minInputs: isFold ? job.proofs.length : 1,
      rotation: 0,
    };
  }

  started(attempt: number, job: TreeJob): void {
    const startedAtMs = this.modules.nowMs();
    this.startedAtMs ??= startedAtMs;
    this.tries++;
    this.tree.start(job.id);
    this.onLanes.set(attempt, { job, startedAtMs });
  }

  /** Takes the end of a job. Undefined for an attempt that is not the tree's any more. */
  finished(attempt: number, result: ProofResult): JobResult | undefined {
    const job = this.left(attempt);
    if (job === undefined) return undefined;
    switch (result.kind) {
      case "proved":
        return this.keep(job, result);
      case "rejected":
      case "nothing_to_prove":
      case "too_few_inputs":
        return this.badInputs(job, result.leftOut);
      case "not_started":
        return this.refused(job, result);
      case "failed":
        return this.failed(job, result);
      default:
        return assertNever(result);
    }
  }

  /** The result of the attempt will not come: the job is ready again. */
  lost(attempt: number): TreeJob | undefined {
    const job = this.left(attempt);
    if (job !== undefined) this.tree.lost(job.id);
    return job;
  }

  /** Leaves out a job that a lane has; its attempt is to be killed. */
  missed(attempt: number): TreeJob | undefined {
    const job = this.left(attempt);
    if (job !== undefined) this.tree.missed(job.id);
    return job;
  }

  /** Leaves out a job that no lane has. */
  leaveOut({ id }: TreeJob): void {
    this.digests.delete(id);
    this.tree.missed(id);
  }

  /** The jobs on lanes, with their attempts. */
  running(): { attempt: number; job: TreeJob }[] {
    return [...this.onLanes].map(([attempt, { job }]) => ({ attempt, job }));
  }

  /** How the tree has ended; undefined while a job is to be done. */
  get end(): TreeResult | undefined {
    if (this.notStarted !== undefined) return this.notStarted;
    if (this.failure !== undefined && this.deaths > limits.setAsideDeathsMax) {
      return { ...this.failure, deaths: 0 };
    }
    const { end } = this.tree;
    return end && this.resultOf(end);
  }

  /** Forgets the inner proofs. */
  close(): void {
    for (const { share } of this.proofs.values()) share.release();
    this.proofs.clear();
    this.digests.clear();
  }

  private left(attempt: number): TreeJob | undefined {
    const known = this.onLanes.get(attempt);
    if (known === undefined) return undefined;
    this.onLanes.delete(attempt);
    // Its inputs may be others when it is ready again.
    this.digests.delete(known.job.id);
    this.usedBeforeMs += this.modules.nowMs() - known.startedAtMs;
    return known.job;
  }

  private keep(job: TreeJob, result: Extract<ProofResult, { kind: "proved" }>): JobResult {
    if (result.leftOut.some(({ reason }) => reason === "shed")) {
      return this.failed(job, failure("inputs are shed that the job has to prove"));
    }
    const share = this.modules.reserve(result.proof.length);
    if (share === undefined) {
      return this.failed(job, failure("no memory is free for the proof of a job"));
    }
    this.proofs.set(job.id, { ...result, share });
    this.tree.proved(job.id, this.noteBadRaws(job, result.leftOut));
    return "proved";
  }

  private badInputs(job: TreeJob, leftOut: readonly LeftOut[]): JobResult {
    if (job.kind === "leaf") {
      this.noteBadRaws(job, leftOut);
      this.tree.empty(job.id);
      return "bad_inputs";
    }
    const places = leftOut.flatMap(({ input }) =>
      input.kind === "child" ? [input.childIndex] : [],
    );
    for (const { input, reason, digest } of leftOut) {
      const of = input.kind === "child" ? job.proofs[input.childIndex] : undefined;
      if (of?.kind === "job") {
        this.proofs.get(of.job)?.share.release();
        this.proofs.delete(of.job);
      }
      const child = of?.kind === "child" ? this.plan.work.children[of.child] : undefined;
      if (child === undefined) continue;
      this.bad.push({ reason, digest, input: { kind: "child", childIndex: child.index } });
    }
    this.tree.bad(job.id, places);
    return "bad_inputs";
  }

  private refused(job: TreeJob, result: Extract<ProofResult, { kind: "not_started" }>): JobResult {
    const isBegun = this.proofs.size > 0 || this.onLanes.size > 0 || this.failure !== undefined;
    if (!isBegun && result.reason !== "memory") {
      this.notStarted = { ...result, leftOut: [...this.bad, ...result.leftOut] };
      return "missed";
    }
    this.refusal ??= result;
    // Only the first job is bound by the deadline, and others have begun in time.
    if (result.reason === "deadline" && !this.isDelayed) {
      this.isDelayed = true;
      this.tree.lost(job.id);
      return "lost";
    }
    if (result.reason === "memory") this.tree.narrow(job.id);
    else this.tree.missed(job.id);
    return "missed";
  }

  private failed(job: TreeJob, result: Failed): JobResult {
    this.failure = result;
    // With a machine, all its lanes go at once: that is no verdict on the input.
    if (result.isLaneGone !== true) this.deaths += result.deaths;
    this.tree.failed(job.id);
    return "failed";
  }

  /** Notes the bad raw signatures of a leaf; returns their positions in the group. */
  private noteBadRaws(job: TreeJob, leftOut: readonly LeftOut[]): number[] {
    if (job.kind !== "leaf") return [];
    const { validators } = this.plan.work.raws;
    this.bad.push(...leftOut);
    const bad = new Set(leftOut.map(({ input }) => input.kind === "raw" && input.validatorIndex));
    return job.raws.filter((raw) => bad.has(validators[raw] ?? -1));
  }

  private workOf(job: TreeJob): { work: FoldWork; digest: string } {
    const { message, logInvRate } = this.plan.work;
    const work: FoldWork = {
      ...{ kind: "fold", message, logInvRate, leftOut: [] },
      raws: job.kind === "leaf" ? this.rawsAt(job.raws) : this.rawsAt([]),
      children: job.kind === "leaf" ? [] : job.proofs.map((of, at) => this.childOf(of, at)),
    };
    const digest = this.digests.get(job.id) ?? inputDigest(work, this.plan.sizes);
    this.digests.set(job.id, digest);
    return { work, digest };
  }

  private rawsAt(positions: readonly number[]): Raws {
    const { validators, keys, signatures } = this.plan.work.raws;
    const { publicKeyBytes, signatureBytes } = this.plan.sizes;
    const slices = (packed: Uint8Array, size: number) =>
      concat(positions.map((at) => packed.subarray(at * size, (at + 1) * size)));
    return {
      validators: positions.flatMap((at) => validators[at] ?? []),
      keys: slices(keys, publicKeyBytes),
      signatures: slices(signatures, signatureBytes),
    };
  }

  private childOf(of: TreeProof, index: number): ChildWork {
    if (of.kind === "child") {
      const child = this.plan.work.children[of.child];
      if (child === undefined) throw new Error(`the group has no child ${of.child}`);
      return { ...child, index };
    }
    const inner = this.proofs.get(of.job);
    if (inner === undefined) throw new Error(`job ${of.job} has no proof`);
    const { validators, proof } = inner;
    const keys = concat(validators.flatMap((validator) => this.keys.get(validator) ?? []));
    return { index, validators, keys, proof };
  }

  private resultOf(end: TreeEnd): TreeResult {
    const { children } = this.plan.work;
    switch (end.kind) {
      case "proved": {
        const last = this.proofs.get(end.job);
        if (last === undefined) throw new Error(`job ${end.job} has no proof`);
        const { proof, validators, verifiedBy } = last;
        return {
          ...{ kind: "proved", proof, validators },
          childrenFolded: end.children.flatMap((child) => children[child]?.index ?? []),
          leftOut: withOthers(this.plan, this.bad, { ...end, validators }),
          proveMs: this.modules.nowMs() - (this.startedAtMs ?? 0),
          ...(verifiedBy !== undefined && { verifiedBy }),
        };
      }
      case "nothing": {
        const kind = this.bad.length > 0 ? "rejected" : "nothing_to_prove";
        return { kind, leftOut: withCovered(this.plan, this.bad) };
      }
      case "missing":
        // Its deaths are counted already.
        if (this.failure !== undefined) return { ...this.failure, deaths: 0 };
        return this.refusal?.reason === "memory"
          ? { ...this.refusal, leftOut: this.bad }
          : { kind: "missed" };
      default:
        return assertNever(end);
    }
  }

  private atRate(shape: Shape): Shape {
    return atRate(shape, this.plan.work.logInvRate);
  }
}

function failure(detail: string): Failed {
  return { kind: "failed", reason: "prover_error", detail, deaths: 0 };
}
