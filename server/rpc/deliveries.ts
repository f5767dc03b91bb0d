/**
 * Adds to the activities that the outcome of a group was delivered, the first time that some reader has it:
 * a stream once the reader has taken the event, any other call once its answer is made.
 */
import type { ActivityLog } from "../activity.js";
import type { Clock } from "../clock.js";
import type { RequestRecord } from "../session/node-record.js";

export interface DeliveriesModules {
  clock: Clock;
  /** Undefined when nobody may look on. */
  activity?: ActivityLog | undefined;
}

export class Deliveries {
  /** The groups that some reader has. */
  private readonly groups = new WeakMap<RequestRecord, Set<number>>();

  constructor(private readonly modules: DeliveriesModules) {}

  /** @param request undefined when it is forgotten by now */
  note(request: RequestRecord | undefined, groupIndices: Iterable<number>): void {
    const { clock, activity } = this.modules;
    if (request === undefined || activity === undefined) return;
    const known = this.groups.get(request) ?? new Set();
    this.groups.set(request, known);
    for (const groupIndex of groupIndices) {
      if (known.has(groupIndex)) continue;
      known.add(groupIndex);
      const value = { sessionId: request.sessionId, groupIndex };
      activity.add({ atMs: clock.nowMs(), event: { case: "delivered", value } });
    }
  }
}
