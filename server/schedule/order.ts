/**
 * Which waiting group is next: the highest class; within it the node that has used the provers
 * least; between equals the shortest proof; then the first to arrive. Backlog gets a turn after
 * other groups have overtaken it often enough.
 */
import { limits } from "../limits.js";
import { BACKLOG } from "../work/priority.js";

/** What decides when a waiting group is next. */
export interface Standing {
  /** A smaller number is a higher class. */
  priority: number;
  /** Prover time that its node used recently, rounded to whole one-signature proofs to allow ties. */
  usedProofs: number;
  /** Predicted duration of its proof. */
  costMs: number;
  /** Arrival of its session: smaller came first. */
  order: number;
}

/** Negative when `a` comes before `b`. */
export function compareStanding(a: Standing, b: Standing): number {
  return (
    a.priority - b.priority ||
    a.usedProofs - b.usedProofs ||
    a.costMs - b.costMs ||
    a.order - b.order
  );
}

/**
 * How often a higher class started while backlog waited, or preempted it, since backlog last had a
 * turn or a proof that ended.
 */
export type TimesOvertaken = number;

/** The next waiting group. A backlog turn is not preempted, which bounds how long backlog waits. */
export function takeNext<T extends Standing>(
  waiting: readonly T[],
  timesOvertaken: TimesOvertaken,
): { next: T; isBacklogTurn: boolean; timesOvertaken: TimesOvertaken } | undefined {
  const [first, ...rest] = [...waiting].sort(compareStanding);
  if (first === undefined) return undefined;
  const isBacklog = ({ priority }: Standing) => priority === BACKLOG;
  const backlog = isBacklog(first) ? first : rest.find(isBacklog);
  if (backlog !== undefined && timesOvertaken >= limits.proofsBeforeBacklog) {
    return { next: backlog, isBacklogTurn: true, timesOvertaken: 0 };
  }
  const isOvertaken = backlog !== undefined && backlog !== first;
  const times = timesOvertaken + (isOvertaken ? 1 : 0);
  return { next: first, isBacklogTurn: false, timesOvertaken: times };
}
