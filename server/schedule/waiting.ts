/** The groups that wait for a prover, with the properties by which they are ordered. */
import type { Clock } from "../clock.js";
import { groupOf, isRetry, workOf } from "../session/session.js";
import type { Session, Waiter } from "../session/session.js";
import type { GroupState } from "../session/session-state.js";
import type { DecodedGroup } from "../work/group.js";
import type { Shape } from "../work/shape.js";
import { AGGREGATION } from "../work/priority.js";
import { shapeOf, smallestShape } from "../work/shape.js";
import type { Submission } from "../work/submission.js";
import { worthlessFromMs } from "../work/worth.js";
import type { Dispatcher } from "./dispatcher.js";
import type { GroupOutlook, GroupWorths } from "./forecast/group-worths.js";
import { compareStanding, usedJobsOf } from "./order.js";
import type { Standing } from "./order.js";
import type { Accounts } from "./usage.js";

export interface WaitingGroup extends Standing {
  waiter: Waiter;
  /** See `GroupOutlook`. */
  shape: Shape;
}

export interface WaitingModules {
  clock: Clock;
  dispatcher: Dispatcher;
  accounts: Accounts;
  worths: GroupWorths;
  sessions: {
    /** The sessions with queued groups, in any order. */
    waiting(): Iterable<Session>;
    /** Number of queued groups; `changes` grows whenever one is added or removed. */
    readonly queued: { groups: number; changes: number };
  };
}

/** The time to the deadline is halved so often in the search for the latest start of a part. */
const HALVED_MAX = 5;

const isQueued = ({ kind }: GroupState) => kind === "queued";

export class Waiting {
  /** The digests of all queued groups, of the moment at which `queued.changes` was `at`. */
  private digests = { at: -1, all: new Set<string>() };

  constructor(private readonly modules: WaitingModules) {}

  /** How many groups are queued, of all sessions. */
  get size(): number {
    return this.modules.sessions.queued.groups;
  }

  /** The first queued group of each session: a session's groups are proved in the node's order. */
  all(): WaitingGroup[] {
    const waiting: WaitingGroup[] = [];
    if (this.size === 0) return waiting;
    const standingOf = this.standings();
    for (const session of this.modules.sessions.waiting()) {
      const group = session.state.groups.findIndex(isQueued);
      if (group < 0) continue;
      const waiter = { session, group };
      const standing = standingOf(session.submission, groupOf(waiter), session.order);
      waiting.push({ ...standing, waiter });
    }
    return waiting;
  }

  /** As `all`, by `compareStanding`, ignoring turns of backlog. */
  inOrder(): WaitingGroup[] {
    return this.all().sort(compareStanding);
  }

  /**
   * The groups that would start before a snapshot that arrives now, in order. Groups of superseded
   * sessions are left out, and so are groups with the same work as one of the snapshot's.
   *
   * @param head the snapshot's first group
   */
  before(
    submission: Submission,
    head: DecodedGroup,
    superseded: readonly Session[],
  ): WaitingGroup[] {
    const standing = this.standings()(submission, head, Infinity);
    const digests = new Set(submission.groups.map(({ digest }) => digest));
    return this.all()
      .filter(({ waiter }) => !superseded.includes(waiter.session))
      .filter(({ waiter }) => !digests.has(groupOf(waiter).digest))
      .filter((other) => compareStanding(other, standing) < 0)
      .sort(compareStanding);
  }

  /**
   * Every queued group with the same work as `first`. If a part of it is worth more than the whole,
   * only those whose `mayShed` is the same as that of `first`.
   */
  sharing(first: Waiter): Waiter[] {
    const all = this.withDigest(groupOf(first).digest);
    const { submission } = first.session;
    const { mayShed } = submission;
    if (all.every((other) => other.session.submission.mayShed === mayShed)) return all;
    const { clock, worths } = this.modules;
    if (!worths.isCut(submission, groupOf(first), clock.nowMs())) return all;
    return all.filter((other) => other.session.submission.mayShed === mayShed);
  }

  /** Whether a queued group has this digest. */
  hasDigest(digest: string): boolean {
    const { queued } = this.modules.sessions;
    if (this.digests.at !== queued.changes) {
      const all = new Set<string>();
      for (const { state, submission } of this.modules.sessions.waiting()) {
        submission.groups.forEach(({ digest: each }, group) => {
          if (state.groups[group]?.kind === "queued") all.add(each);
        });
      }
      this.digests = { at: queued.changes, all };
    }
    return this.digests.all.has(digest);
  }

  /** Every queued group with this digest. */
  withDigest(digest: string): Waiter[] {
    const found: Waiter[] = [];
    for (const session of this.modules.sessions.waiting()) {
      session.submission.groups.forEach((each, group) => {
        if (each.digest !== digest || session.state.groups[group]?.kind !== "queued") return;
        found.push({ session, group });
      });
    }
    return found;
  }

  /**
   * The latest start with which the group is in time if its proof takes the 98th percentile. Once that has
   * passed, the latest with which some part of it may start; the present where none may. A second attempt
   * may start until the fence.
   */
  startByMs(waiter: Waiter): number {
    const { submission } = waiter.session;
    const deadlineAtMs = isRetry(waiter) ? submission.fenceAtMs : submission.deadlineAtMs;
    const nowMs = this.modules.clock.nowMs();
    const wholeAtMs = worthlessFromMs(submission) - this.pessimisticMs(waiter);
    if (wholeAtMs > nowMs || deadlineAtMs <= nowMs) return Math.min(deadlineAtMs, wholeAtMs);
    const mayStart = (atMs: number) =>
      this.modules.worths.best(submission, groupOf(waiter), atMs) !== undefined;
    if (mayStart(deadlineAtMs)) return deadlineAtMs;
    let [startAtMs, tooLateMs] = [nowMs, deadlineAtMs];
    for (let halved = 0; halved < HALVED_MAX; halved++) {
      const atMs = (startAtMs + tooLateMs) / 2;
      if (mayStart(atMs)) startAtMs = atMs;
      else tooLateMs = atMs;
    }
    return startAtMs;
  }

  /** Returns the function that gives the standing of a group at this moment. */
  private standings() {
    const { clock, dispatcher, accounts, sessions, worths } = this.modules;
    const nowMs = clock.nowMs();
    // Time after the last deadline delays no other start, and counts for none.
    let untilMs = nowMs;
    for (const { submission } of sessions.waiting()) {
      untilMs = Math.max(untilMs, submission.deadlineAtMs);
    }
    const outlooks = new Map<DecodedGroup, GroupOutlook>();
    // By jobs, not by trees of them: those who ask for long trees do not lengthen the turns of all.
    let sumMs = 0;
    for (const { submission, state } of sessions.waiting()) {
      const group = submission.groups[state.groups.findIndex(isQueued)];
      if (group === undefined) continue;
      const outlook = worths.outlook(submission, group, nowMs, untilMs);
      outlooks.set(group, outlook);
      sumMs += dispatcher.jobMs(outlook.shape);
    }
    const typicalMs =
      outlooks.size === 0 ? dispatcher.predictMs(smallestShape) : sumMs / outlooks.size;
    return (submission: Submission, group: DecodedGroup, order: number) => {
      const { priority, nodeId } = submission;
      const usedJobs = usedJobsOf(accounts.nodes.of(nodeId, nowMs), typicalMs);
      const outlook = outlooks.get(group) ?? worths.outlook(submission, group, nowMs, untilMs);
      const isAhead = priority === AGGREGATION && group.work.kind === "merge";
      return { priority, isAhead, usedJobs, order, ...outlook };
    };
  }

  private pessimisticMs(waiter: Waiter): number {
    return this.modules.dispatcher.pessimisticMs(shapeOf(workOf(waiter)));
  }
}
