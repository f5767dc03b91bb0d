/**
 * Decides which waiting group is next: one of the highest class; within the class votes before a merge
 * that is made ahead; then of the node that recently used the provers least; then the one expected to be
 * worth most for its time; then the first to arrive.
 * Backlog gets a turn after groups of higher classes were preferred to it a set number of times, and a
 * merge made ahead after votes were. A turn is used up by what takes it, however that ends.
 */
import { limits } from "../limits.js";
import { AGGREGATION, BACKLOG, PROPOSAL } from "../work/priority.js";

/** The properties by which waiting groups are ordered. */
export interface Standing {
  /** A smaller number is a higher class. */
  priority: number;
  /** A merge at aggregation: for a later block, so it lets votes go first. */
  isAhead: boolean;
  /** Recent prover time of the node, as a number of typical jobs of what waits; rounded, for ties. */
  usedJobs: number;
  /** Expected worth of the group's best part for each millisecond; see `GroupWorths`. */
  worthPerMs: number;
  /** Number of the session in order of arrival; Infinity for a snapshot not accepted yet. */
  order: number;
}

/** What of a standing says whether it is overtaken by what starts. */
export type Overtaken = Pick<Standing, "priority" | "isAhead">;

/** Share of a typical job that does not count as a job. */
const NEGLIGIBLE = 0.1;

/** Recent prover time of a node, as a whole number of jobs that take `typicalMs`. */
export function usedJobsOf(usedMs: number, typicalMs: number): number {
  return Math.floor(usedMs / typicalMs + 1 - NEGLIGIBLE);
}

/** Negative when `a` comes before `b`. */
export function compareStanding(a: Standing, b: Standing): number {
  return (
    a.priority - b.priority ||
    Number(a.isAhead) - Number(b.isAhead) ||
    a.usedJobs - b.usedJobs ||
    b.worthPerMs - a.worthPerMs ||
    a.order - b.order
  );
}

/** The one that comes first; of equal ones the earlier in the list; undefined for an empty list. */
function firstOf<T extends Standing>(waiting: readonly T[]): T | undefined {
  let best: T | undefined;
  for (const each of waiting) {
    if (best === undefined || compareStanding(each, best) < 0) best = each;
  }
  return best;
}

/** How often those that let others go first were overtaken. */
export interface TimesOvertaken {
  /**
   * Groups of a higher class that started while backlog waited, or preempted it, since backlog last had
   * a turn or an attempt that ended with a result.
   */
  readonly backlog: number;
  /**
   * Votes that started while a merge made ahead waited, since one was last proved. After a turn it is one
   * short of the next: what took the turn may not have been proved.
   */
  readonly ahead: number;
}

export const neverOvertaken: TimesOvertaken = { backlog: 0, ahead: 0 };

/** Whether backlog was overtaken so often that it is next. */
export function isTurnOfBacklog({ backlog }: TimesOvertaken): boolean {
  return backlog >= limits.proofsBeforeBacklog;
}

/** Whether merges made ahead were overtaken so often that the next one waits for no votes. */
export function isTurnOfAhead({ ahead }: TimesOvertaken): boolean {
  return ahead >= limits.proofsBeforeBacklog;
}

/** What starts next, and what follows for those that are overtaken by it. */
export interface Taken<T> {
  readonly next: T;
  readonly isBacklogTurn: boolean;
  readonly timesOvertaken: TimesOvertaken;
}

/**
 * Returns the next of the groups that may start, and the new counts of overtakings; undefined when none may.
 * A backlog turn is not preempted, so that backlog does not wait for ever.
 *
 * @param waiting all that wait, jobs of trees too: those that may not start now are overtaken as well
 */
export function takeNext<T extends Standing>(
  suited: readonly T[],
  timesOvertaken: TimesOvertaken,
  waiting: readonly Overtaken[] = suited,
): Taken<T> | undefined {
  const first = firstOf(suited);
  if (first === undefined) return undefined;
  const backlog = isBacklog(first) ? first : firstOf(suited.filter(isBacklog));
  const ahead = firstOf(suited.filter(mayTakeTurnOfAhead));
  if (backlog !== undefined && isTurnOfBacklog(timesOvertaken)) {
    return {
      next: backlog,
      isBacklogTurn: true,
      timesOvertaken: { ...timesOvertaken, backlog: 0 },
    };
  }
  const isTurn = isTurnOfAhead(timesOvertaken) && first.priority !== PROPOSAL;
  const next = (isTurn ? ahead : undefined) ?? first;
  const backlogNow = timesOvertaken.backlog + Number(!isBacklog(next) && waiting.some(isBacklog));
  return {
    next,
    isBacklogTurn: false,
    timesOvertaken: { backlog: backlogNow, ahead: aheadAfter(next, timesOvertaken, waiting) },
  };
}

/** One that would be late even now does not take the turn: the lane ends it without a proof. */
function mayTakeTurnOfAhead({ isAhead, worthPerMs }: Standing): boolean {
  return isAhead && worthPerMs > 0;
}

function aheadAfter(
  next: Standing,
  timesOvertaken: TimesOvertaken,
  waiting: readonly Overtaken[],
): number {
  const { ahead } = timesOvertaken;
  if (mayTakeTurnOfAhead(next) && isTurnOfAhead(timesOvertaken)) {
    return limits.proofsBeforeBacklog - 1;
  }
  const isVotes = next.priority === AGGREGATION && !next.isAhead;
  return ahead + Number(isVotes && waiting.some(({ isAhead }) => isAhead));
}

function isBacklog({ priority }: Overtaken): boolean {
  return priority === BACKLOG;
}
