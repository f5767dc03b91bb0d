/** The groups that wait for a prover, and where each stands in the order. */
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

  /** The first queued group of each session: within a session the node's own order holds. */
  all(): WaitingGroup[] {
    return this.modules.sessions.all().flatMap((session) => {
      const group = session.state.groups.findIndex(({ kind }) => kind === "queued");
      if (group < 0) return [];
      const waiter = { session, group };
      return [{ ...this.standingOf(session.submission, groupOf(waiter), session.order), waiter }];
    });
  }

  /** The group that is next by the order alone. */
  first(): WaitingGroup | undefined {
    return this.all().sort(compareStanding)[0];
  }

  /**
   * The groups that would start before a snapshot that arrives now, in order. Groups of superseded
   * sessions do not count, nor does work that the snapshot shares.
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
   * Every queued group with the same work. If the whole of it is predicted to miss the fence, only
   * those with the same partial policy as the first.
   */
  sharing(first: Waiter): Waiter[] {
    const { digest } = groupOf(first);
    const all = this.modules.sessions.all().flatMap((session) =>
      session.state.groups.flatMap(({ kind }, group) => {
        const waiter = { session, group };
        return kind === "queued" && groupOf(waiter).digest === digest ? [waiter] : [];
      }),
    );
    const { fenceAtMs, mayBeCut } = first.session.submission;
    if (this.modules.clock.nowMs() + this.pessimisticMs(first) < fenceAtMs) return all;
    return all.filter(({ session }) => session.submission.mayBeCut === mayBeCut);
  }

  /** The latest instant at which the group may start and still be in time, seen pessimistically. */
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
