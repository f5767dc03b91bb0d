/**
 * A *flight*: one attempt at proving one input, and all the groups that wait for it. Identical work
 * of several nodes is one flight.
 */
import type { DecodedGroup, LeftOut, ProofResult } from "../work/group.js";
import type { Submission } from "../work/submission.js";
import type { Waiter } from "../session/session.js";

/** Whose accounts a waiter is charged to. */
export type Payer = Pick<Submission, "nodeId" | "principal">;

export interface Flight {
  digest: string;
  /** Whose names the result comes in; it may have gone since. */
  leader: DecodedGroup;
  /** As the lane knows them. */
  deadlineAtMs: number;
  fenceAtMs: number;
  waiters: Waiter[];
  startedAtMs: number;
  /** What each waiter was charged at the start, in milliseconds. */
  charges: (Payer & { ms: number })[];
  /** Started ahead of higher classes: not to be preempted for one. */
  isBacklogTurn: boolean;
  mayBeCut: boolean;
}

/**
 * The lane decided by less than this waiter allows: it waits again. One that joined late may have
 * later limits than the lane knew, and either may have another mind about parts.
 */
export function isNotFor(
  { session }: Waiter,
  flight: Flight,
  result: ProofResult,
  nowMs: number,
): boolean {
  const { deadlineAtMs, fenceAtMs, mayBeCut } = session.submission;
  if (result.kind === "not_started") {
    const hasMoreTime = deadlineAtMs > flight.deadlineAtMs || fenceAtMs > flight.fenceAtMs;
    return hasMoreTime || (mayBeCut && !flight.mayBeCut && result.reason === "predicted_miss");
  }
  if (result.kind !== "proved" || !result.leftOut.some(isShed)) return false;
  // Cut for a fence that is a proof's time before its own: all of it may fit, if it may still start.
  const hasRoom = fenceAtMs - flight.fenceAtMs > result.proveMs && nowMs < deadlineAtMs;
  return !mayBeCut || hasRoom;
}

function isShed({ reason }: LeftOut): boolean {
  return reason === "shed";
}
