/** Predicts when a group could start, given what the lanes do and which groups come before. */
import type { Adoptable } from "../../lane/lane-messages.js";
import { lowDiscrepancy } from "../../low-discrepancy.js";
import { LOGISTIC, OPTIMISTIC_AT } from "../../work/costs/cost-model.js";

/**
 * One scenario: maps the index of a proof (running by lane, then queued in order) to its deviation
 * from the median, in standard deviations.
 */
export type Future = (nth: number) => number;

/** For each scenario in which all proofs deviate alike: the deviation, from short to long. */
const ALIKE = [OPTIMISTIC_AT, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2];
/** Number of scenarios in which each proof deviates on its own. */
const MIXED = 8;

/** Median of each eighth of the standard normal distribution, by its logistic equivalent. */
const LIKELY = Array.from({ length: MIXED }, (_, eighth) => {
  const share = (eighth + 0.5) / MIXED;
  return Math.log(share / (1 - share)) / LOGISTIC;
});

/**
 * The scenarios that admission looks at. Short proofs alone are not always best for a new group.
 * With longer ones, a group before it may be too late to start, which leaves a lane free. And with
 * unequal ones, one lane may be free early while the others are not.
 */
export const futures: readonly Future[] = [
  ...ALIKE.map(alike),
  ...Array.from({ length: MIXED }, (_, which) => mixed(which)),
];

function alike(deviations: number): Future {
  return () => deviations;
}

/** Mixed scenario number `which`. Over all of them, each proof has each eighth's median once. */
function mixed(which: number): Future {
  return (nth) => LIKELY[Math.floor(((lowDiscrepancy(nth) + which / MIXED) % 1) * MIXED)] ?? 0;
}

/** What the dispatcher predicts of one lane. */
export interface LaneOutlook {
  /**
   * When the lane is predicted to take work again if its proof deviates so far from the median: now
   * if it is idle, in the past if its proof is overdue, Infinity if it is down.
   */
  freeAtMs: (deviations: number) => number;
  /** Number of this door's attempt in progress; undefined for a lane without one. */
  attempt: number | undefined;
  /** Whether the lane proves another door's attempt. */
  isTaken: boolean;
  /** What the lane proves or holds for any door; some may be this door's own. */
  adoptable: readonly Adoptable[];
  /** Whether a ready standby takes over at once when the prover is killed. */
  hasStandby: boolean;
  /** Messages of a merge that the lane's prover takes; 0: it cannot merge. */
  messagesMax: number;
}

/** When a lane takes work again in one scenario (see `Future`), and the messages of a merge that it takes. */
export interface FreeLane {
  freeAtMs: number;
  messagesMax: number;
}

/** A waiting group that comes before the group of which the start is predicted. */
export interface Ahead {
  /** Messages that it merges: only lanes that merge so many take it. 0: a fold. */
  messages: number;
  /** Duration of the group's proof in this scenario, in ms. */
  costMs: number;
  /** The group starts only before this instant. */
  latestStartAtMs: number;
}

/**
 * Returns the instant at which a lane is free for a group that comes after all of `ahead`; Infinity
 * where no lane takes it. Once every lane that does is busy until `enoughAtMs`, returns without looking further.
 *
 * @param messages messages that the group merges; 0: a fold
 */
export function startAfter(
  nowMs: number,
  lanes: readonly FreeLane[],
  ahead: Iterable<Ahead>,
  { messages = 0, enoughAtMs = Infinity }: { messages?: number; enoughAtMs?: number } = {},
): number {
  const free = new FreeLanes(nowMs, lanes);
  for (const { costMs, latestStartAtMs, messages: before } of ahead) {
    if (free.firstFor(messages).first >= enoughAtMs) break;
    const taken = free.firstFor(before);
    if (taken.first < latestStartAtMs) taken.replaceFirst(taken.first + costMs);
  }
  return free.firstFor(messages).first;
}

/** When lanes are free, apart for each number of messages that they merge: there are few. */
class FreeLanes {
  private readonly kinds: readonly { messagesMax: number; free: Earliest }[];

  constructor(nowMs: number, lanes: readonly FreeLane[]) {
    const kinds = new Set(lanes.map(({ messagesMax }) => messagesMax));
    this.kinds = [...kinds].map((messagesMax) => {
      const own = lanes.filter((lane) => lane.messagesMax === messagesMax);
      return { messagesMax, free: new Earliest(own.map((lane) => Math.max(nowMs, lane.freeAtMs))) };
    });
  }

  /** The lanes of which one is free first, of those that merge so many messages. */
  firstFor(messages: number): Earliest {
    let best = none;
    for (const { messagesMax, free } of this.kinds) {
      if (messagesMax >= messages && free.first < best.first) best = free;
    }
    return best;
  }
}

/** Instants of which the earliest is known: a binary heap, for hundreds of lanes. */
class Earliest {
  private readonly heap: number[];

  constructor(instantsMs: readonly number[]) {
    // A list in ascending order is a heap.
    this.heap = [...instantsMs].sort((a, b) => a - b);
  }

  /** The earliest; Infinity without any. */
  get first(): number {
    return this.heap[0] ?? Infinity;
  }

  /** Puts `atMs` in the place of the earliest. */
  replaceFirst(atMs: number): void {
    const { heap } = this;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const [a = Infinity, b = Infinity] = [heap[left], heap[left + 1]];
      const below = Math.min(a, b);
      if (below >= atMs) break;
      heap[at] = below;
      at = a <= b ? left : left + 1;
    }
    heap[at] = atMs;
  }
}

/** No lane at all. */
const none = new Earliest([]);
