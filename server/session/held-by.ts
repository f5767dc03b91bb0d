/** What a principal holds of the service, for its quotas. Pure. */
import { keptBytesMin } from "../work/outcome-bytes.js";
import type { Session } from "./session.js";

/** What is held for every principal. */
export interface Held {
  inFlight: readonly Session[];
  /** Ended sessions whose snapshots are still held. */
  unsettled: readonly Session[];
  /** Bytes held for other ended sessions of the principal. */
  endedBytes: number;
}

/**
 * The principal's sessions in flight, and the bytes held for those and for ended sessions.
 * @param superseded sessions whose queued groups are about to end: they count as after that
 */
export function heldBy(
  principal: string,
  { inFlight, unsettled, endedBytes }: Held,
  superseded: readonly Session[],
): { sessionsInFlight: number; heldBytes: number } {
  const isOwn = ({ submission }: Session) => submission.principal.name === principal;
  const own = inFlight.filter(isOwn);
  const stay = own.filter((session) => !superseded.includes(session) || isRunning(session));
  const held = [...stay, ...unsettled.filter(isOwn)];
  const heldBytes = held.reduce((sum, { share }) => sum + share.heldBytes, endedBytes);
  const go = own.filter((session) => !stay.includes(session));
  const left = go.reduce((sum, session) => sum + resultBytes(session), 0);
  return { sessionsInFlight: stay.length, heldBytes: heldBytes + left };
}

const isRunning = ({ state }: Session) => state.groups.some(({ kind }) => kind === "running");

/** Bytes of the session's results once its queued groups have ended without a proof. */
function resultBytes({ proofBytes, keptBytes, state, submission }: Session): number {
  const queued = submission.groups.filter((_, at) => state.groups[at]?.kind === "queued");
  return queued.reduce((sum, group) => sum + keptBytesMin(group), proofBytes + keptBytes);
}
