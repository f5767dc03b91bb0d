/**
 * Whether what was refused would have made it: by the true durations of what ran and of what was
 * queued ahead, started in the schedule's own order. Pure.
 */
import type { TimesOvertaken, Standing } from "../../../server/schedule/order.js";
import { neverOvertaken, takeNext, usedJobsOf } from "../../../server/schedule/order.js";
import type { Ask, SnapshotSpec } from "../scenario/scenario.js";
import { asksOfSnapshot, BACKLOG, contentOfGroup } from "../scenario/scenario.js";
import type { Truth } from "../scenario/truth.js";
import { EXIT_MS } from "../scenario/truth.js";

/** The lanes and the queue at the moment of a refusal. */
export interface Moment {
  nowMs: number;
  truth: Truth;
  lanes: readonly LaneMoment[];
  queued: readonly Queued[];
  /** Prover time that the refused node has used. */
  usedMs: number;
  /** Expected duration of a typical job of what waits: the order counts nodes' use in it. */
  typicalMs: number;
  /** What the schedule expects a group to be worth for its time. */
  worthPerMs(ask: Ask): number;
}

export interface LaneMoment {
  /** When it is free next; infinity for one that is down. */
  freeAtMs: number;
  /** What it proves; undefined when nothing. */
  content: string | undefined;
  /** It proves backlog, which may be killed for a higher class. */
  isBacklog: boolean;
  /** A proof runs on it, or it is down: it is neither idle nor still at a group's inputs. */
  isProving: boolean;
}

/** A session whose groups wait. */
export interface Queued {
  priority: number;
  /** Prover time that its node has used. */
  usedMs: number;
  order: number;
  node: string;
  asks: readonly Ask[];
}

/** Of a snapshot that was skipped: any of its groups, or the smallest part of one. */
export function snapshotWouldHaveMadeIt(snapshot: SnapshotSpec, moment: Moment): boolean {
  const asks = asksOfSnapshot(snapshot);
  const fenceAtMs = snapshot.atMs + snapshot.fenceMs;
  const deadlineAtMs = snapshot.atMs + snapshot.deadlineMs;
  const contents = new Set(asks.map(({ group }) => contentOfGroup(group)));
  const shares = (content: string | undefined, endAtMs: number) =>
    content !== undefined && contents.has(content) && endAtMs < fenceAtMs;
  if (moment.lanes.some(({ content, freeAtMs }) => shares(content, freeAtMs))) return true;

  const replay = new Replay(moment, snapshot);
  for (;;) {
    const next = replay.next();
    if (next === "refused") break;
    if (next.startAtMs < deadlineAtMs && shares(next.content, next.endAtMs)) return true;
  }
  const { lane, startAtMs } = replay.earliest();
  return asks.some(
    ({ group }) =>
      startAtMs < deadlineAtMs &&
      startAtMs + moment.truth.smallestMs(lane, group, snapshot.mayShed) < fenceAtMs,
  );
}

/**
 * Of a group that was not started by a lane that had been given it: on that lane, or on another one
 * that does not prove. Its inputs are verified by then.
 */
export function groupWouldHaveMadeIt(
  { snapshot, group, fenceAtMs }: Ask,
  { nowMs, truth, lanes }: Pick<Moment, "nowMs" | "truth" | "lanes">,
): boolean {
  return lanes.some(
    ({ isProving }, lane) =>
      !isProving && nowMs + truth.smallestMs(lane, group, snapshot.mayShed, "verified") < fenceAtMs,
  );
}

/** The queue as it would have been started, with the refused in it. */
class Replay {
  private readonly free: number[];
  private waiting: (Queued & Standing)[];
  private timesOvertaken: TimesOvertaken = neverOvertaken;

  constructor(
    private readonly moment: Moment,
    refused: SnapshotSpec,
  ) {
    const { priority, node } = refused;
    const { lanes, nowMs, queued, usedMs } = moment;
    this.free = lanes.map(({ freeAtMs, isBacklog }) =>
      isBacklog && priority < BACKLOG ? Math.min(freeAtMs, nowMs + EXIT_MS) : freeAtMs,
    );
    const asks = asksOfSnapshot(refused);
    const last = { priority, usedMs, order: Infinity, node, asks };
    this.waiting = [...queued, last].map((each) => this.standing(each));
  }

  earliest(): { lane: number; startAtMs: number } {
    const startAtMs = Math.min(...this.free);
    return { lane: this.free.indexOf(startAtMs), startAtMs };
  }

  /** Starts the next group; `refused` when it is the turn of what was refused. */
  next(): "refused" | { content: string; startAtMs: number; endAtMs: number } {
    for (;;) {
      const taken = takeNext(this.waiting, this.timesOvertaken);
      const ask = taken?.next.asks[0];
      if (taken === undefined || ask === undefined || taken.next.order === Infinity)
        return "refused";
      this.timesOvertaken = taken.timesOvertaken;
      const started = this.start(ask);
      if (started !== undefined) return started;
    }
  }

  /** Undefined when it does not start: its time is over, or not even a part of it fits. */
  private start(ask: Ask) {
    const { snapshot, group, deadlineAtMs, fenceAtMs } = ask;
    const { truth } = this.moment;
    const { lane, startAtMs } = this.earliest();
    const smallestAtMs = startAtMs + truth.smallestMs(lane, group, snapshot.mayShed);
    const content = contentOfGroup(group);
    if (startAtMs >= deadlineAtMs || smallestAtMs >= fenceAtMs) {
      this.take((other) => other === ask, snapshot.node, 0);
      return undefined;
    }
    // What does not fit as a whole is cut until it does.
    const endAtMs = Math.min(startAtMs + truth.wholeMs(lane, group), fenceAtMs);
    this.free[lane] = endAtMs;
    // Identical work is proved once.
    const isSame = (other: Ask) => contentOfGroup(other.group) === content;
    this.take(isSame, snapshot.node, endAtMs - startAtMs);
    return { content, startAtMs, endAtMs };
  }

  /** Out of the queue, at its node's cost; the refused stays whatever it shares. */
  private take(isTaken: (ask: Ask) => boolean, node: string, ms: number): void {
    this.waiting = this.waiting.flatMap((each) => {
      const isRefused = each.order === Infinity;
      const asks = isRefused ? each.asks : each.asks.filter((ask) => !isTaken(ask));
      if (asks.length === 0) return [];
      const usedMs = each.usedMs + (each.node === node ? ms : 0);
      return [this.standing({ ...each, asks, usedMs })];
    });
  }

  /** As the schedule sees it: by what it predicts. */
  private standing(queued: Queued): Queued & Standing {
    const { typicalMs } = this.moment;
    const [ask] = queued.asks;
    const worthPerMs = ask === undefined ? 0 : this.moment.worthPerMs(ask);
    return {
      ...queued,
      isAhead: false,
      worthPerMs,
      usedJobs: usedJobsOf(queued.usedMs, typicalMs),
    };
  }
}
