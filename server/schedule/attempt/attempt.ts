/**
 * One attempt at proving one input, shared by every group that waits for it: equal work of several
 * nodes is proved once. Pure.
 */
import { assertNever } from "../../errors.js";
import type { Assignment } from "../../lane/lane-messages.js";
import type { TreeJobs } from "../../session/node-record.js";
import { groupOf, isRetry } from "../../session/session.js";
import type { Session, Waiter } from "../../session/session.js";
import type { DecodedGroup, LeftOut, ProofResult } from "../../work/group.js";
import { rotationOf } from "../../work/parts.js";
import { BACKLOG } from "../../work/priority.js";
import type { Shape } from "../../work/shape.js";
import type { Submission } from "../../work/submission.js";
import { jointSteps, worthlessFromMs } from "../../work/worth.js";
import type { AdoptableWork } from "../lane-handle.js";
import type { Charged, Payer } from "../usage.js";

/** An attempt that is about to start. */
export interface Plan {
  /** The group whose work is proved; the result has its validator and child indices. */
  leader: DecodedGroup;
  waiters: readonly Waiter[];
  /** The waiter by whose place in the order the attempt starts. */
  first: Waiter;
  assignment: Assignment;
  /** Whether this is backlog's turn, ahead of higher classes: then the attempt is not preempted. */
  isBacklogTurn: boolean;
  /**
   * What another door has started, by limits of its own, of which only the fence is known; null for
   * an attempt of this door. A kill of an adopted attempt frees no lane, so it is not preempted.
   */
  adopted: AdoptableWork | null;
}

export interface Attempt extends Plan {
  /** Groups join while the attempt runs, and leave when they end. It may run on without any: see `leave`. */
  waiters: readonly Waiter[];
  startedAtMs: number;
  /** Cores of the lane, of a tree that of its first job; 1 where they are not known. */
  cores: number;
  /** What each waiter was charged, those that have left included. */
  charges: Charge[];
  /** Of an attempt at several jobs: the time that all take, as predicted and as used so far. */
  tree?: AttemptTree | undefined;
}

export interface AttemptTree extends TreeJobs {
  predictedMs(): number;
  /** Shapes of the jobs that are not on a lane yet. */
  ahead(): Shape[];
  usedMs(): number;
}

/** Share of the predicted duration, charged when the waiter joined; 0 if it joined later. */
interface Charge extends Charged {
  payer: Payer;
  session: Session;
}

/**
 * What a lane needs to prove the first waiter's work: with the latest deadline, the latest fence and
 * the joint steps of all waiters. A part of the work may be proved only if it is a fold and all waiters
 * allow it, and the fewest inputs for which one of them wants a proof suffice.
 */
export function assignmentOf(first: Waiter, waiters: readonly Waiter[]): Assignment {
  const latest = (of: (submission: Submission) => number) =>
    Math.max(...waiters.map(({ session }) => of(session.submission)));
  const { work, digest } = groupOf(first);
  return {
    work,
    digest,
    deadlineAtMs: latest((each) => each.deadlineAtMs),
    fenceAtMs: latest((each) => each.fenceAtMs),
    steps: jointSteps(waiters.map(({ session }) => session.submission)),
    isFirstOfSession: waiters.some(isFirst),
    isExploration: false,
    isRetry: waiters.some(isRetry),
    mayShed: work.kind === "fold" && waiters.every(({ session }) => session.submission.mayShed),
    minInputs: Math.min(...waiters.map(({ session }) => session.submission.minInputs)),
    rotation: rotationOf(first.session.submission.slot),
  };
}

/** Whether no attempt at any group of the waiter's session has started yet. */
export function isFirst({ session }: Waiter): boolean {
  return session.startedAtMs.size === 0;
}

/** The highest class of its waiters: the smallest number. */
export function priorityOf({ waiters }: Attempt): number {
  return Math.min(...waiters.map(({ session }) => session.submission.priority));
}

/** Whether the snapshot of some waiter is of this class. */
export function hasWaiterOf({ waiters }: Pick<Attempt, "waiters">, priority: number): boolean {
  return waiters.some(({ session }) => session.submission.priority === priority);
}

/** Whether every waiter's snapshot is backlog, or nobody waits. */
export function isBacklog({ waiters }: Attempt): boolean {
  return waiters.every(({ session }) => session.submission.priority === BACKLOG);
}

/**
 * Whether the result might differ had the lane known what this waiter asks for:
 * then its group is queued again. The lane knows only the limits of the waiters at the start, and a
 * group that joined later may have a later deadline or fence, or longer steps.
 */
export function isDecidedByOthers(
  { session }: Waiter,
  { leader, assignment, adopted }: Attempt,
  result: ProofResult,
  nowMs: number,
): boolean {
  const { deadlineAtMs, minInputs } = session.submission;
  const mayShed = session.submission.mayShed && leader.work.kind === "fold";
  const worthlessAtMs = worthlessFromMs(session.submission);
  if (result.kind === "too_few_inputs") return result.inputs >= minInputs;
  // Such as when the other door has died, and with it the inputs that the lane had not fetched yet.
  if (adopted !== null && result.kind === "failed") return result.deaths === 0;
  if (result.kind === "not_started") {
    if (adopted !== null) return true;
    const hasMoreTime =
      deadlineAtMs > assignment.deadlineAtMs || worthlessAtMs > worthlessFromMs(assignment);
    const isCutRefused = mayShed && !assignment.mayShed && result.reason !== "deadline";
    return hasMoreTime || isCutRefused;
  }
  if (result.kind !== "proved" || !result.leftOut.some(isShed)) return false;
  // The whole may be in time if it may be ready more than one proof later than the lane knew.
  const knownAtMs = adopted?.fenceAtMs ?? worthlessFromMs(assignment);
  const hasRoom = worthlessAtMs - knownAtMs > result.proveMs && nowMs < deadlineAtMs;
  return !mayShed || hasRoom;
}

/**
 * Whether the result of another door's attempt, which a job of a tree has adopted, says nothing of the job:
 * it was decided by that door's limits, or inputs were left out that the job has to have.
 */
export function isVerdictOfOthers(result: ProofResult, { minInputs }: Assignment): boolean {
  switch (result.kind) {
    case "not_started":
      return true;
    case "failed":
      return result.deaths === 0;
    case "too_few_inputs":
      return result.inputs >= minInputs;
    case "proved":
      return result.leftOut.some(isShed);
    case "nothing_to_prove":
    case "rejected":
      return false;
    default:
      return assertNever(result);
  }
}

function isShed({ reason }: LeftOut): boolean {
  return reason === "shed";
}
