/**
 * Decides which waiting group is next: one of the highest class; within the class, of the node that
 * recently used the provers least; then the one expected to be worth most for its time; then the
 * first to arrive.
 * Backlog gets a turn after groups of higher classes were preferred to it a set number of times.
 */
import { limits } from "../limits.js";
import { BACKLOG } from "../work/priority.js";

/** The properties by which waiting groups are ordered. */
export interface Standing {
  /** A smaller number is a higher class. */
  priority: number;
  /** Recent prover time of the node, as a number of typical proofs of what waits; rounded, for ties. */
  usedProofs: number;
  /** Expected worth of the group's best part for each millisecond; see `GroupWorths`. */
  worthPerMs: number;
  /** Number of the session in order of arrival; Infinity for a snapshot not accepted yet. */
  order: number;
}

/** Share of a typical proof that does not count as a proof. */
const NEGLIGIBLE = 0.1;

/** Recent prover time of a node, as a whole number of proofs that take `typicalMs`. */
export function usedProofsOf(usedMs: number, typicalMs: number): number {
  return Math.floor(usedMs / typicalMs + 1 - NEGLIGIBLE);
}

/** Negative when `a` comes before `b`. */
export function compareStanding(a: Standing, b: Standing): number {
  return (
    a.priority - b.priority ||
    a.usedProofs - b.usedProofs ||
    b.worthPerMs - a.worthPerMs ||
    a.order - b.order
  );
}

/** The one that comes first; of equal ones the earlier in the list; undefined for an empty list. */
export function firstOf<T extends Standing>(waiting: readonly T[]): T | undefined {
  let best: T | undefined;
  for (const each of waiting) {
    if (best === undefined || compareStanding(each, best) < 0) best = each;
  }
  return best;
}

/**
 * How often backlog was overtaken: a group of a higher class started while backlog waited, or
 * preempted it. Counted since backlog last had a turn or an attempt that ended with a result.
 */
export type TimesOvertaken = number;

/**
 * Returns the next waiting group and the new count of overtakings; undefined when none waits. A
 * backlog turn is not preempted, so that backlog does not wait for ever.
 */
export function takeNext<T extends Standing>(
  waiting: readonly T[],
  timesOvertaken: TimesOvertaken,
): { next: T; isBacklogTurn: boolean; timesOvertaken: TimesOvertaken } | undefined {
  const first = firstOf(waiting);
  if (first === undefined) return undefined;
  const isBacklog = ({ priority }: Standing) => priority === BACKLOG;
  const backlog = isBacklog(first) ? first : firstOf(waiting.filter(isBacklog));
  if (backlog !== undefined && timesOvertaken >= limits.proofsBeforeBacklog) {
    return { next: backlog, isBacklogTurn: true, timesOvertaken: 0 };
  }
  const isOvertaken = backlog !== undefined && backlog !== first;
  const times = timesOvertaken + (isOvertaken ? 1 : 0);
  return { next: first, isBacklogTurn: false, timesOvertaken: times };
}
