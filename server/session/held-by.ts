/** What a principal holds of the service, for its quotas. Pure. */
import type { MemoryShare } from "../memory-budget.js";
import { namedBytes } from "../work/claim-bytes.js";
import type { Session } from "./session.js";

/** The memory that is still held for a session that has ended. */
export interface HeldShare {
  principal: string;
  share: MemoryShare;
}

export function heldShareOf({ submission, share }: Session): HeldShare {
  return { principal: submission.principal.name, share };
}

/**
 * The principal's sessions in flight, and the bytes held for those and for ended sessions.
 * @param superseded sessions whose queued groups are about to end: they count as after that
 */
export function heldBy(
  principal: string,
  inFlight: readonly Session[],
  ended: readonly HeldShare[],
  superseded: readonly Session[],
): { sessionsInFlight: number; heldBytes: number } {
  const own = inFlight.filter(({ submission }) => submission.principal.name === principal);
  const stay = own.filter((session) => !superseded.includes(session) || isRunning(session));
  const held = [...stay, ...ended.filter((each) => each.principal === principal)];
  const heldBytes = held.reduce((sum, { share }) => sum + share.heldBytes, 0);
  const go = own.filter((session) => !stay.includes(session));
  const left = go.reduce((sum, session) => sum + resultBytes(session), 0);
  return { sessionsInFlight: stay.length, heldBytes: heldBytes + left };
}

const isRunning = ({ state }: Session) => state.groups.some(({ kind }) => kind === "running");

/** Bytes of the session's results once its queued groups have ended without a proof. */
function resultBytes({ proofBytes, namedBytes: named, state, submission }: Session): number {
  const queued = submission.groups.filter((_, at) => state.groups[at]?.kind === "queued");
  return queued.reduce((sum, group) => sum + namedBytes(group), proofBytes + named);
}
