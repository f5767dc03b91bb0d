/**
 * The best that whole groups allow, by someone who knows how long each proof will take and who will
 * submit what: a dynamic program over the sets of groups, each with the instants at which the lanes
 * may be free after it and what each group's votes are worth by then. It keeps what the service
 * promises: a snapshot's groups start in the node's order, none before it was submitted. For a
 * handful of groups only.
 */
import type { Ask, Scenario, SnapshotSpec } from "../scenario/scenario.js";
import { asksOfSnapshot } from "../scenario/scenario.js";
import type { Truth } from "../scenario/truth.js";
import { countVotes, votesOf, weightAt } from "../scenario/votes.js";

/** 2^n sets of n groups. */
const OPTIMUM_GROUPS_MAX = 8;

/** The most that can be reached of each, not all by the same order of groups. */
export interface Optimum {
  groups: number;
  votes: number;
  worth: number;
}

/** After some groups have been started, in the order in which they were. */
interface Stand {
  freeAtMs: readonly number[];
  lastStartMs: number;
  /** By group: what each of its votes is worth; 0 for a group that is not started. */
  weights: readonly number[];
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
  const idle: Stand = {
    freeAtMs: Array.from({ length: lanes }, () => 0),
    lastStartMs: 0,
    weights: asks.map(() => 0),
  };
  const stands = new Map<number, Stand[]>([[0, [idle]]]);
  const count = voteCounter(asks);
  const best = { groups: 0, votes: 0, worth: 0 };
  for (let set = 0; set < 2 ** asks.length; set++) {
    const reached = stands.get(set);
    if (reached === undefined) continue;
    const has = (at: number) => ((set >> at) & 1) === 1;
    best.groups = Math.max(best.groups, asks.filter((_, at) => has(at)).length);
    const mayBeNext = (ask: Ask, at: number) =>
      !has(at) && !asks.some((other, later) => later >= at && has(later) && isOfOne(ask, other));
    for (const stand of reached) {
      const { votes, worth } = count(stand.weights);
      best.votes = Math.max(best.votes, votes);
      best.worth = Math.max(best.worth, worth);
      const moves = asks.flatMap((ask, at) =>
        mayBeNext(ask, at) ? startsOf({ ask, at }, stand, truth) : [],
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

/** Counts the votes of groups by their weights, and remembers what it has counted. */
function voteCounter(asks: readonly Ask[]) {
  const groups = asks.map(({ group }) => ({ root: group.root, validators: votesOf(group) }));
  const counts = new Map<string, ReturnType<typeof countVotes>>();
  return (weights: readonly number[]) => {
    const key = weights.join();
    const known = counts.get(key);
    if (known !== undefined) return known;
    const parts = groups.map((votes, at) => ({ ...votes, weight: weights[at] ?? 0 }));
    const counted = countVotes(parts.filter(({ weight }) => weight > 0));
    counts.set(key, counted);
    return counted;
  };
}

/** The state after the group, for each lane that it fits on. */
function startsOf(
  { ask, at }: { ask: Ask; at: number },
  { freeAtMs, lastStartMs, weights }: Stand,
  truth: Truth,
): { after: Stand; at: number }[] {
  return freeAtMs.flatMap((free, lane) => {
    const startAtMs = Math.max(free, ask.snapshot.atMs);
    const endAtMs = startAtMs + truth.wholeMs(lane, ask.group);
    const isInTime = startAtMs < ask.deadlineAtMs && endAtMs < ask.fenceAtMs;
    // Whatever starts earlier is chosen earlier.
    if (!isInTime || startAtMs < lastStartMs) return [];
    const after = {
      freeAtMs: freeAtMs.with(lane, endAtMs),
      lastStartMs: startAtMs,
      weights: weights.with(at, weightAt(ask.snapshot.steps, endAtMs)),
    };
    return [{ after, at }];
  });
}

/**
 * Keeps what is nowhere better than another only where being free earlier can do harm, and drops
 * what is worth no more than another in any group.
 */
function withStand(kept: readonly Stand[], candidate: Stand, isFreeGood: boolean): Stand[] {
  const isNoBetter = (one: Stand, other: Stand) =>
    one.weights.every((weight, at) => weight <= (other.weights[at] ?? 0)) &&
    instantsOf(one).every((instant, at) => {
      const others = instantsOf(other)[at] ?? 0;
      return isFreeGood ? instant >= others : instant === others;
    });
  if (kept.some((other) => isNoBetter(candidate, other))) return [...kept];
  return [...kept.filter((other) => !isNoBetter(other, candidate)), candidate];
}

const instantsOf = ({ freeAtMs, lastStartMs }: Stand) => [...freeAtMs, lastStartMs];
