/**
 * One attempt at proving one input, shared by every group that waits for it: equal work of several
 * nodes is proved once. Pure.
 */
import type { Assignment } from "../lane/lane-messages.js";
import { groupOf, isRetry } from "../session/session.js";
import type { Waiter } from "../session/session.js";
import type { DecodedGroup, LeftOut, ProofResult } from "../work/group.js";
import { rotationOf } from "../work/parts.js";
import { BACKLOG } from "../work/priority.js";
import type { Submission } from "../work/submission.js";
import type { Payer } from "./usage.js";

/** An attempt that is about to start. */
export interface Plan {
  /** The group whose work is proved; the result is in its numbering. */
  leader: DecodedGroup;
  waiters: readonly Waiter[];
  assignment: Assignment;
  /** Backlog started ahead of higher classes: it is not preempted. */
  isBacklogTurn: boolean;
}

export interface Attempt extends Plan {
  /** Groups join while the attempt runs, and leave when they end. */
  waiters: readonly Waiter[];
  startedAtMs: number;
  /** Every payer of the attempt, those of waiters that have left too. */
  charges: Charge[];
}

interface Charge {
  payer: Payer;
  /** Predicted share, charged at the start. */
  ms: number;
}

/** The widest limits of the waiters; a part is proved only if all of them allow it. */
export function assignmentOf(first: Waiter, waiters: readonly Waiter[]): Assignment {
  const latest = (of: (submission: Submission) => number) =>
    Math.max(...waiters.map(({ session }) => of(session.submission)));
  return {
    work: groupOf(first).work,
    deadlineAtMs: latest((each) => each.deadlineAtMs),
    fenceAtMs: latest((each) => each.fenceAtMs),
    isFirstOfSession: waiters.some(isFirst),
    isTry: false,
    isRetry: waiters.some(isRetry),
    mayBeCut: waiters.every(({ session }) => session.submission.mayBeCut),
    rotation: rotationOf(first.session.submission.slot),
  };
}

/** Whether no attempt at any group of the session has started yet. */
export function isFirst({ session }: Waiter): boolean {
  return session.startedAtMs.size === 0;
}

/** Whether every waiter is backlog. */
export function isBacklog({ waiters }: Attempt): boolean {
  return waiters.every(({ session }) => session.submission.priority === BACKLOG);
}

/**
 * Whether the result was produced under tighter limits or another partial policy than the waiter's,
 * so that its group is queued again. A group that joins late may have later limits than the lane knew.
 */
export function isDecidedByOthers(
  { session }: Waiter,
  { assignment }: Attempt,
  result: ProofResult,
  nowMs: number,
): boolean {
  const { deadlineAtMs, fenceAtMs, mayBeCut } = session.submission;
  if (result.kind === "not_started") {
    const hasMoreTime = deadlineAtMs > assignment.deadlineAtMs || fenceAtMs > assignment.fenceAtMs;
    const isCutRefused = mayBeCut && !assignment.mayBeCut && result.reason === "predicted_miss";
    return hasMoreTime || isCutRefused;
  }
  if (result.kind !== "proved" || !result.leftOut.some(isShed)) return false;
  // With a proof's time more than the lane knew, the whole group may fit if it may still start.
  const hasRoom = fenceAtMs - assignment.fenceAtMs > result.proveMs && nowMs < deadlineAtMs;
  return !mayBeCut || hasRoom;
}

function isShed({ reason }: LeftOut): boolean {
  return reason === "shed";
}
