/**
 * No lane is idle beside a group that waits. A merge that is made ahead may wait, and backlog for a moment
 * beside one that may be replaced.
 */
import { limits } from "../../server/limits.js";
import { AGGREGATION, BACKLOG } from "../../server/work/priority.js";
import type { Submission } from "../../server/work/submission.js";

/** Each proof of votes lets backlog wait anew, until it is the turn of those that wait. */
const HELD_MS_MAX = (limits.proofsBeforeBacklog + 1) * limits.replaceMs;

export class IdleWatch {
  private sinceMs: number | undefined;
  /** When a merge that may be replaced was last seen to wait. */
  private heldAtMs = -Infinity;

  /** Whether what waits breaks the promise. Called whenever everything has settled. */
  isBroken(waiting: readonly Submission[], hasIdleLane: boolean, nowMs: number): boolean {
    if (waiting.some((each) => isAhead(each) && each.shouldReplace)) this.heldAtMs = nowMs;
    const mayRun = waiting.filter((each) => !isAhead(each));
    if (!hasIdleLane || mayRun.length === 0) {
      this.sinceMs = undefined;
      return false;
    }
    this.sinceMs ??= nowMs;
    const isBacklog = mayRun.every(({ priority }) => priority === BACKLOG);
    // The hold outlives a merge that is cancelled meanwhile.
    const isHeld = nowMs - this.heldAtMs <= limits.replaceMs;
    return !isBacklog || !isHeld || nowMs - this.sinceMs > HELD_MS_MAX;
  }
}

/** A merge for a later block, which may leave a lane idle for votes that are expected. */
function isAhead({ priority, groups }: Submission): boolean {
  return priority === AGGREGATION && groups[0]?.work.kind === "merge";
}
