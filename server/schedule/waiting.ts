/** The groups that wait for a prover, with the properties by which they are ordered. */
import type { Clock } from "../clock.js";
import { groupOf, workOf } from "../session/session.js";
import type { Session, Waiter } from "../session/session.js";
import type { DecodedGroup } from "../work/group.js";
import { shapeOf, smallestShape } from "../work/shape.js";
import type { Submission } from "../work/submission.js";
import type { Dispatcher } from "./dispatcher.js";
import { compareStanding } from "./order.js";
import type { Standing } from "./order.js";
import type { Accounts } from "./usage.js";

export interface WaitingGroup extends Standing {
  waiter: Waiter;
}

export interface WaitingModules {
  clock: Clock;
  dispatcher: Dispatcher;
  accounts: Accounts;
  sessions: { all(): Session[] };
}

export class Waiting {
  constructor(private readonly modules: WaitingModules) {}

  /** How many groups are queued, of all sessions. */
  get size(): number {
    const queued = ({ state }: Session) => state.groups.filter(({ kind }) => kind === "queued");
    return this.modules.sessions.all().reduce((sum, session) => sum + queued(session).length, 0);
  }

  /** The first queued group of each session: a session's groups are proved in the node's order. */
  all(): WaitingGroup[] {
    return this.modules.sessions.all().flatMap((session) => {
      const group = session.state.groups.findIndex(({ kind }) => kind === "queued");
      if (group < 0) return [];
      const waiter = { session, group };
      return [{ ...this.standingOf(session.submission, groupOf(waiter), session.order), waiter }];
    });
  }

  /** The next group by `compareStanding`, ignoring turns of backlog; undefined when none waits. */
  first(): WaitingGroup | undefined {
    return this.all().sort(compareStanding)[0];
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
    const standing = this.standingOf(submission, head, Infinity);
    const digests = new Set(submission.groups.map(({ digest }) => digest));
    return this.all()
      .filter(({ waiter }) => !superseded.includes(waiter.session))
      .filter(({ waiter }) => !digests.has(groupOf(waiter).digest))
      .filter((other) => compareStanding(other, standing) < 0)
      .sort(compareStanding);
  }

  /**
   * Every queued group with the same work as `first`. If the whole of it is predicted to miss the
   * fence, only those whose `mayShed` is the same as that of `first`.
   */
  sharing(first: Waiter): Waiter[] {
    const all = this.withDigest(groupOf(first).digest);
    const { fenceAtMs, mayShed } = first.session.submission;
    if (this.modules.clock.nowMs() + this.pessimisticMs(first) < fenceAtMs) return all;
    return all.filter(({ session }) => session.submission.mayShed === mayShed);
  }

  /** Every queued group with this digest. */
  withDigest(digest: string): Waiter[] {
    return this.modules.sessions.all().flatMap((session) =>
      session.state.groups.flatMap(({ kind }, group) => {
        const waiter = { session, group };
        return kind === "queued" && groupOf(waiter).digest === digest ? [waiter] : [];
      }),
    );
  }

  /** The latest start with which the group is in time if its proof takes the 98th percentile. */
  startByMs(waiter: Waiter): number {
    const { deadlineAtMs, fenceAtMs } = waiter.session.submission;
    return Math.min(deadlineAtMs, fenceAtMs - this.pessimisticMs(waiter));
  }

  private standingOf(
    { priority, nodeId }: Submission,
    { work }: DecodedGroup,
    order: number,
  ): Standing {
    const { clock, dispatcher, accounts } = this.modules;
    const usedMs = accounts.nodes.of(nodeId, clock.nowMs());
    const usedProofs = Math.round(usedMs / dispatcher.predictMs(smallestShape));
    const costMs = dispatcher.predictMs(shapeOf(work));
    return { priority, usedProofs, costMs, order };
  }

  private pessimisticMs(waiter: Waiter): number {
    return this.modules.dispatcher.pessimisticMs(shapeOf(workOf(waiter)));
  }
}
