/**
 * Which of the waiting groups is next: the highest class, within it the node that has used the
 * provers least, between equals the shortest proof, then who came first. Backlog gets a turn after
 * so many others.
 */
import { limits } from "../limits.js";

/** As on the wire: a smaller number is a higher class. */
export const priorities = { proposal: 1, aggregation: 2, backlog: 3 } as const;

/** What decides when a waiting group is next. */
export interface Standing {
  /** One of `priorities`. */
  priority: number;
  /** What its node has used of the provers lately, in whole small proofs: less is no difference. */
  usedProofs: number;
  /** What its proof is predicted to take, in milliseconds. */
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
 * How often backlog was passed over since it last had a turn or a proof to its end: a higher class
 * was started while it waited, or it was killed for one.
 */
export type PassedOver = number;

/** The next of those that wait. A backlog turn is not preempted: it bounds what backlog waits for. */
export function takeNext<T extends Standing>(
  waiting: readonly T[],
  passedOver: PassedOver,
): { next: T; isBacklogTurn: boolean; passedOver: PassedOver } | undefined {
  const [first, ...rest] = [...waiting].sort(compareStanding);
  if (first === undefined) return undefined;
  const isBacklog = ({ priority }: Standing) => priority === priorities.backlog;
  const backlog = isBacklog(first) ? first : rest.find(isBacklog);
  if (backlog !== undefined && passedOver >= limits.proofsBeforeBacklog)
    return { next: backlog, isBacklogTurn: true, passedOver: 0 };
  const isPassedOver = backlog !== undefined && backlog !== first;
  return { next: first, isBacklogTurn: false, passedOver: passedOver + (isPassedOver ? 1 : 0) };
}
