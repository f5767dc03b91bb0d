/**
 * The trees of jobs in progress: which of their jobs is next, when one misses its fence, and when a tree's
 * attempt ends. Each belongs to one attempt at the whole group, whose number is that of its first job.
 */
import type { Clock } from "../../clock.js";
import type { MemoryBudget } from "../../memory-budget.js";
import type { Metrics } from "../../metrics/metrics.js";
import type { ProofResult, StopReason } from "../../work/group.js";
import { fitsOneJob } from "../../work/fold-limits.js";
import { judgedByInputs } from "../../work/inputs.js";
import type { Shape } from "../../work/shape.js";
import { atRate, shapeOf } from "../../work/shape.js";
import { BACKLOG } from "../../work/priority.js";
import { PESSIMISTIC_AT } from "../../work/costs/cost-model.js";
import type { TreeJob } from "../../work/tree.js";
import { LEAST_CHANCE_AT } from "../../work/worth.js";
import { isVerdictOfOthers, priorityOf } from "./attempt.js";
import type { Attempt, Plan } from "./attempt.js";
import type { Attempts } from "./attempts.js";
import type { Dispatcher, NextAttempt } from "../dispatcher.js";
import type { GroupWorths } from "../forecast/group-worths.js";
import type { AdoptableWork } from "../lane-handle.js";
import type { Overtaken } from "../order.js";
import type { JobResult } from "./running-tree.js";
import { RunningTree } from "./running-tree.js";

export interface TreesModules {
  clock: Clock;
  metrics: Metrics;
  dispatcher: Dispatcher;
  memory: MemoryBudget;
  worths: GroupWorths;
  attempts: Attempts;
  /** Called with the result of an attempt at a whole group. */
  finished(attemptId: number, result: ProofResult): void;
  /** Called when jobs became ready or lanes idle, other than by the end of a job. */
  wake(): void;
}

interface Running {
  readonly tree: RunningTree;
  /** The attempt at the whole group; undefined until the first job starts. */
  attempt: Attempt | undefined;
  attemptId: number;
  /** Jobs that got another door's verdict, which they do not take, or no answer: they adopt no proof again. */
  readonly unsuited: Set<number>;
  cancelTimer: () => void;
}

/** A tree in progress, and the first of its jobs that wait for a lane. */
interface Ready {
  readonly running: Running;
  readonly attempt: Attempt;
  readonly job: TreeJob;
}

export class Trees {
  private readonly running = new Set<Running>();

  constructor(private readonly modules: TreesModules) {}

  /** Whether a job waits for a lane. */
  get hasReady(): boolean {
    for (const { tree } of this.running) if (tree.ready().length > 0) return true;
    return false;
  }

  /**
   * The first job of the planned attempt, if its group, or the part of it that is worth most, is over the
   * limits of one job; else undefined.
   */
  begin(plan: Plan): NextAttempt | undefined {
    const { dispatcher, memory, clock } = this.modules;
    const { work } = plan.leader;
    const sizes = dispatcher.describe();
    const { foldLimits } = dispatcher;
    if (work.kind === "merge" || sizes === undefined) return undefined;
    if (plan.adopted !== null || fitsOneJob(foldLimits, shapeOf(work))) return undefined;
    const { slot } = plan.first.session.submission;
    const horizon = { ...plan.assignment, slot };
    const part = this.modules.worths.part(horizon, plan.leader, work, clock.nowMs());
    if (part === undefined) return undefined;
    const shape = { raws: part.raws.length, children: part.children.length };
    if (plan.assignment.mayShed && fitsOneJob(foldLimits, shape)) return undefined;
    const { assignment } = plan;
    const tree = new RunningTree(
      { work, part, limits: foldLimits, assignment, sizes },
      {
        nowMs: () => clock.nowMs(),
        predictMs: (job) => dispatcher.predictMs(job),
        reserve: (bytes) => memory.reserve(bytes),
      },
    );
    const [first] = tree.ready();
    if (first === undefined) return undefined;
    const running = { tree, attempt: undefined, attemptId: 0, unsuited: new Set<number>() };
    return this.attemptOf({ ...running, cancelTimer: () => undefined }, first, { plan });
  }

  /**
   * The job that is next, of a tree of a class as high as `priority` or higher; undefined when no job is ready.
   * Folds come before leaves, and older trees before younger ones.
   */
  next(priority: number): NextAttempt | undefined {
    const first = this.first((own) => own <= priority);
    return first && this.attemptOf(first.running, first.job);
  }

  /** As `next`, of a tree of backlog in backlog's turn: that tree is not preempted from then on. */
  nextInTurn(): NextAttempt | undefined {
    const first = this.first((own) => own === BACKLOG);
    if (first === undefined) return undefined;
    first.attempt.isBacklogTurn = true;
    return this.attemptOf(first.running, first.job);
  }

  /** Of each tree with a job that waits for a lane: by what it is overtaken. */
  waiting(): Overtaken[] {
    return this.withReady().map(({ attempt }) => {
      return { priority: priorityOf(attempt), isAhead: false };
    });
  }

  private first(isOfClass: (priority: number) => boolean): Ready | undefined {
    let best: (Ready & { class: number }) | undefined;
    for (const each of this.withReady()) {
      const own = { ...each, class: priorityOf(each.attempt) };
      if (!isOfClass(own.class)) continue;
      const isBefore =
        best === undefined ||
        own.class < best.class ||
        (own.class === best.class && own.job.kind === "fold" && best.job.kind === "leaf");
      if (isBefore) best = own;
    }
    return best;
  }

  /** The trees with a job that waits for a lane, each with the first of these jobs. */
  private withReady(): Ready[] {
    return [...this.running].flatMap((running): Ready[] => {
      const [job] = running.tree.ready();
      const { attempt } = running;
      return job === undefined || attempt === undefined ? [] : [{ running, attempt, job }];
    });
  }

  /**
   * The latest start of a job that waits, of a tree of a class as high as `priority` or higher, with which it
   * is in time if it takes the 98th percentile; once that has passed, the latest with the least chance. Infinity
   * when no such job may be in time.
   */
  startByMs(priority: number): number {
    const { clock, dispatcher } = this.modules;
    const nowMs = clock.nowMs();
    const starts = this.withReady().flatMap(({ running: { tree }, attempt, job }) => {
      if (priorityOf(attempt) > priority) return [];
      const shape = atRate(job.shape, attempt.leader.work.logInvRate);
      const fenceAtMs = tree.fenceOf(job, fenceOf(attempt));
      const startsMs = [PESSIMISTIC_AT, LEAST_CHANCE_AT].map(
        (deviations) => fenceAtMs - dispatcher.quantileMs(shape, deviations),
      );
      return startsMs.find((atMs) => atMs > nowMs) ?? [];
    });
    return Math.min(Infinity, ...starts);
  }

  /** Takes a job of which another door proves or has proved the same work. */
  adopt({ digest }: AdoptableWork): NextAttempt | undefined {
    for (const running of this.running) {
      const { tree, unsuited } = running;
      const mayAdopt = tree.ready().filter(({ id }) => !unsuited.has(id));
      const job = mayAdopt.find((each) => tree.digestOf(each) === digest);
      if (job !== undefined) return this.attemptOf(running, job, { isAdopted: true });
    }
    return undefined;
  }

  /** The jobs that come before a group of this class, each with the instant before which it starts. */
  ahead(priority: number): { shape: Shape; fenceAtMs: number }[] {
    return [...this.running].flatMap(({ tree, attempt }) => {
      if (attempt === undefined || priorityOf(attempt) > priority) return [];
      const fenceAtMs = fenceOf(attempt);
      return tree.ahead().map((shape) => ({ shape, fenceAtMs }));
    });
  }

  /** How far the tree of the attempt is; undefined for an attempt at one job. */
  progressOf(attemptId: number): { done: number; jobs: number } | undefined {
    const jobs = this.of(attemptId)?.tree.jobs;
    return jobs && { done: jobs.done, jobs: jobs.leaves + jobs.folds };
  }

  /** Kills every job of the attempt; false for an attempt at one job. */
  stop(attemptId: number, reason: StopReason): boolean {
    const running = this.of(attemptId);
    if (running === undefined) return false;
    this.close(running, reason);
    return true;
  }

  /** Forgets the tree of the attempt; its jobs on lanes run on, for nobody. */
  letGo(attemptId: number): void {
    const running = this.of(attemptId);
    if (running !== undefined) this.close(running);
  }

  /** A session waits for the attempt no longer: the fences of its jobs may be earlier now. */
  left(attemptId: number): void {
    const running = this.of(attemptId);
    if (running !== undefined) this.watch(running);
  }

  private of(attemptId: number): Running | undefined {
    return [...this.running].find((each) => each.attemptId === attemptId);
  }

  /** `plan`: for the first job. `isAdopted`: another door has started it, or has its proof. */
  private attemptOf(
    running: Running,
    job: TreeJob,
    { plan, isAdopted = false }: { plan?: Plan; isAdopted?: boolean } = {},
  ): NextAttempt {
    const { tree, attempt } = running;
    const fenceAtMs = attempt === undefined ? (plan?.assignment.fenceAtMs ?? 0) : fenceOf(attempt);
    const assignment = tree.assignmentOf(job, fenceAtMs);
    const lost = (number: number, isIgnored = false) => {
      if (isIgnored) running.unsuited.add(job.id);
      this.modules.attempts.jobEnded(number);
      if (tree.lost(number) !== undefined) this.count(job, "lost");
      this.watch(running);
    };
    return {
      ...assignment,
      started: (number) => {
        if (plan !== undefined) this.start(number, running, plan);
        this.modules.attempts.jobStarted(number, running.attemptId);
        tree.started(number, job);
        this.watch(running);
      },
      finished: (number, ended) => {
        const result = judgedByInputs(ended, assignment.work, assignment.minInputs);
        if (isAdopted && isVerdictOfOthers(result, assignment)) {
          return lost(number, true);
        }
        this.modules.attempts.jobEnded(number);
        if (result.kind === "failed" && result.isLaneGone !== true) {
          this.modules.attempts.blame(running.attemptId, result.deaths);
        }
        const counted = tree.finished(number, result);
        if (counted !== undefined) this.count(job, counted);
        this.review(running);
      },
      lost,
    };
  }

  private start(attemptId: number, running: Running, plan: Plan): void {
    running.attemptId = attemptId;
    this.running.add(running);
    running.attempt = this.modules.attempts.start(attemptId, plan, running.tree);
  }

  private count({ kind }: TreeJob, result: JobResult): void {
    this.modules.metrics.treeJobs.inc({ kind, result });
  }

  /** Ends the attempt once its tree has ended. */
  private review(running: Running): void {
    if (!this.running.has(running)) return;
    const { end } = running.tree;
    if (end === undefined) return this.watch(running);
    this.close(running, "superseded");
    const { attempts, finished } = this.modules;
    if (end.kind === "missed") attempts.missed(running.attemptId);
    else finished(running.attemptId, end);
  }

  /** Kills the jobs that are left, unless there is no reason, and forgets the tree. */
  private close(running: Running, reason?: StopReason): void {
    running.cancelTimer();
    this.running.delete(running);
    for (const { attempt, job } of running.tree.running()) {
      running.tree.lost(attempt);
      this.count(job, "stopped");
      this.modules.attempts.jobEnded(attempt);
      if (reason !== undefined) this.modules.dispatcher.kill(attempt, reason);
    }
    running.tree.close();
  }

  /** Sets the timer for the next fence of a job. */
  private watch(running: Running): void {
    running.cancelTimer();
    const { tree, attempt } = running;
    if (attempt === undefined || !this.running.has(running)) return;
    const wholeAtMs = fenceOf(attempt);
    const jobs = [...tree.ready(), ...tree.running().map(({ job }) => job)];
    const fences = jobs.map((job) => tree.fenceOf(job, wholeAtMs)).filter((at) => at < wholeAtMs);
    if (fences.length === 0) return;
    const { clock } = this.modules;
    running.cancelTimer = clock.at(Math.min(...fences), () => this.passed(running));
  }

  /** Leaves out the jobs of which the fence has passed. */
  private passed(running: Running): void {
    const { tree, attempt } = running;
    if (attempt === undefined) return;
    const { clock, dispatcher, attempts, wake } = this.modules;
    const nowMs = clock.nowMs();
    const wholeAtMs = fenceOf(attempt);
    const isPast = (job: TreeJob) => {
      const atMs = tree.fenceOf(job, wholeAtMs);
      return atMs < wholeAtMs && atMs <= nowMs;
    };
    const late = tree.running().filter(({ job }) => isPast(job));
    for (const job of tree.ready().filter(isPast)) {
      this.count(job, "missed");
      tree.leaveOut(job);
    }
    for (const { attempt: number, job } of late) {
      this.count(job, "missed");
      tree.missed(number);
      attempts.jobEnded(number);
      dispatcher.kill(number, "fence");
    }
    this.review(running);
    wake();
  }
}

/** The latest fence of those that wait now. */
function fenceOf({ waiters, assignment }: Attempt): number {
  const fences = waiters.map(({ session }) => session.submission.fenceAtMs);
  return fences.length === 0 ? assignment.fenceAtMs : Math.max(...fences);
}
