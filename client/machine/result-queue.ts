/**
 * The results that the node has not taken: an immutable queue. Adding one and dropping the oldest
 * take constant time, so that an event never copies thousands of results.
 */
import type { AdapterResult, Fence } from "./events.js";

/** How a group ended, until the node takes this. Only a result with a proof has a fence. */
export interface ReadyResult<P> extends Fence {
  readonly result: AdapterResult<P>;
  readonly holdUntilMs: number;
}

interface Newer<P> {
  readonly entry: ReadyResult<P>;
  readonly older: Newer<P> | null;
}

export interface ResultQueue<P> {
  readonly size: number;
  /** The oldest entries, from `from` on. */
  readonly front: readonly ReadyResult<P>[];
  readonly from: number;
  /** The newer entries, newest first. */
  readonly back: Newer<P> | null;
}

export const EMPTY_QUEUE: ResultQueue<never> = { size: 0, front: [], from: 0, back: null };

/** Returns the queue with one more entry. */
export function pushResult<P>(queue: ResultQueue<P>, entry: ReadyResult<P>): ResultQueue<P> {
  return { ...queue, size: queue.size + 1, back: { entry, older: queue.back } };
}

/** Returns the queue's entries, oldest first. */
export function resultsOf<P>(queue: ResultQueue<P>): readonly ReadyResult<P>[] {
  const newer: ReadyResult<P>[] = [];
  for (let at = queue.back; at !== null; at = at.older) newer.push(at.entry);
  return [...queue.front.slice(queue.from), ...newer.reverse()];
}

/** Returns a queue of these entries, oldest first. */
export function queueOf<P>(front: readonly ReadyResult<P>[]): ResultQueue<P> {
  return { size: front.length, front, from: 0, back: null };
}

/** Returns the oldest entry and the queue without it. Null when the queue is empty. */
export function shiftResult<P>(
  queue: ResultQueue<P>,
): { oldest: ReadyResult<P>; rest: ResultQueue<P> } | null {
  const { front, from, size } = queue.from < queue.front.length ? queue : queueOf(resultsOf(queue));
  const oldest = front[from];
  if (oldest === undefined) return null;
  const back = queue.from < queue.front.length ? queue.back : null;
  return { oldest, rest: { size: size - 1, front, from: from + 1, back } };
}
