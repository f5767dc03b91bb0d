/**
 * The best that whole groups allow, by someone who knows how long each proof will take and who will
 * submit what: a dynamic program over the sets of groups, each with the instants at which the lanes
 * may be free after it. It keeps what the service promises: a snapshot's groups start in the node's
 * order, none before it was submitted. For a handful of groups only.
 */
import type { Ask, Scenario, SnapshotSpec } from "./scenario.js";
import { asksOfSnapshot, distinctVotes } from "./scenario.js";
import type { Truth } from "./truth.js";

/** 2^n sets of n groups. */
const OPTIMUM_GROUPS_MAX = 8;

export interface Optimum {
  groups: number;
  /** Distinct validators per attestation data. */
  votes: number;
}

/** After some groups have been started, in the order in which they were. */
interface Stand {
  freeAtMs: readonly number[];
  lastStartMs: number;
}

/**
 * Of snapshots that find every lane idle. `mayWait`: leave a lane idle beside a group that waits,
 * for a better one that is yet to be submitted. No service knows when to do that.
 */
export function optimum(
  snapshots: readonly SnapshotSpec[],
  { lanes, truth }: Pick<Scenario, "lanes" | "truth">,
  { mayWait }: { mayWait: boolean },
): Optimum {
  const asks = snapshots.flatMap(asksOfSnapshot);
  if (asks.length > OPTIMUM_GROUPS_MAX) throw new Error(`${asks.length} groups are too many`);
  const idle = { freeAtMs: Array.from({ length: lanes }, () => 0), lastStartMs: 0 };
  const stands = new Map<number, Stand[]>([[0, [idle]]]);
  const best = { groups: 0, votes: 0 };
  for (let set = 0; set < 2 ** asks.length; set++) {
    const reached = stands.get(set);
    if (reached === undefined) continue;
    const has = (at: number) => ((set >> at) & 1) === 1;
    const chosen = asks.filter((_, at) => has(at));
    best.groups = Math.max(best.groups, chosen.length);
    best.votes = Math.max(best.votes, distinctVotes(chosen));
    const mayBeNext = (ask: Ask, at: number) =>
      !has(at) && !asks.some((other, later) => later >= at && has(later) && isOfOne(ask, other));
    for (const stand of reached) {
      const moves = asks.flatMap((ask, at) =>
        mayBeNext(ask, at) ? startsOf(ask, stand, truth).map((after) => ({ after, at })) : [],
      );
      const earliestMs = Math.min(...moves.map(({ after }) => after.lastStartMs));
      for (const { after, at } of moves) {
        if (!mayWait && after.lastStartMs > earliestMs) continue;
        const next = set | (1 << at);
        stands.set(next, withStand(stands.get(next) ?? [], after, mayWait));
      }
    }
  }
  return best;
}

const isOfOne = (a: Ask, b: Ask) => a.snapshot === b.snapshot;

/** The state after the group, for each lane that it fits on. */
function startsOf(ask: Ask, { freeAtMs, lastStartMs }: Stand, truth: Truth): Stand[] {
  return freeAtMs.flatMap((free, lane) => {
    const startAtMs = Math.max(free, ask.snapshot.atMs);
    const endAtMs = startAtMs + truth.wholeMs(lane, ask.group);
    const isInTime = startAtMs < ask.deadlineAtMs && endAtMs < ask.fenceAtMs;
    // Whatever starts earlier is chosen earlier.
    if (!isInTime || startAtMs < lastStartMs) return [];
    return [{ freeAtMs: freeAtMs.with(lane, endAtMs), lastStartMs: startAtMs }];
  });
}

/** Keeps what is nowhere better than another only where being free earlier can do harm. */
function withStand(kept: readonly Stand[], candidate: Stand, isFreeGood: boolean): Stand[] {
  const isNoBetter = (one: Stand, other: Stand) => {
    const pairs = [...one.freeAtMs, one.lastStartMs].map(
      (instant, at) => [instant, [...other.freeAtMs, other.lastStartMs][at] ?? 0] as const,
    );
    return pairs.every(([a, b]) => (isFreeGood ? a >= b : a === b));
  };
  if (kept.some((other) => isNoBetter(candidate, other))) return [...kept];
  return [...kept.filter((other) => !isNoBetter(other, candidate)), candidate];
}
