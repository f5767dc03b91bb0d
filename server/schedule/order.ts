/**
 * Which of the waiting groups is next: the highest class, within it the node that has used the
 * provers least, between equals the shortest proof, then who came first. Backlog that waits gets a
 * turn after so many others.
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

/** Proofs of higher classes in a row while backlog waited. */
export type Turns = number;

/** The next of those that wait, and the turns after it. */
export function takeNext<T extends Standing>(
  waiting: readonly T[],
  turns: Turns,
): { next: T; isBacklogTurn: boolean; turns: Turns } | undefined {
  const [first, ...rest] = [...waiting].sort(compareStanding);
  if (first === undefined) return undefined;
  const isBacklog = ({ priority }: Standing) => priority === priorities.backlog;
  if (isBacklog(first)) return { next: first, isBacklogTurn: false, turns: 0 };
  const backlog = rest.find(isBacklog);
  if (backlog === undefined) return { next: first, isBacklogTurn: false, turns: 0 };
  if (turns < limits.proofsBeforeBacklog)
    return { next: first, isBacklogTurn: false, turns: turns + 1 };
  return { next: backlog, isBacklogTurn: true, turns: 0 };
}
