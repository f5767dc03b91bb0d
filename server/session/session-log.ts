/** The log lines of a session: that it was accepted, what became of its groups, and its end. */
import type { Logger } from "../log/log.js";
import type { DecodedGroup } from "../work/group.js";
import { priorityNames } from "../work/priority.js";
import type { Session } from "./session.js";

const votesIn = (groups: readonly DecodedGroup[]) =>
  groups.reduce((sum, { votes }) => sum + votes, 0);

function whoOf({ id, request: { requestId }, submission }: Session) {
  const { principal, nodeId, slot } = submission;
  const who = { session: id, request: requestId, principal: principal.name, node: nodeId };
  return { ...who, slot: String(slot) };
}

/** Deadline and fence are in milliseconds from the receipt of the snapshot. */
export function logAccepted(log: Logger, session: Session): void {
  const { groups, priority, receivedAtMs, deadlineAtMs, fenceAtMs } = session.submission;
  const line = {
    ...whoOf(session),
    priority: Object.values(priorityNames)[priority - 1],
    groups: groups.length,
    votes: votesIn(groups),
    deadlineMs: Math.round(deadlineAtMs - receivedAtMs),
    fenceMs: Math.round(fenceAtMs - receivedAtMs),
  };
  log.info(line, "snapshot accepted");
}

/** @param counts number of groups by outcome status */
export function logEnded(
  log: Logger,
  session: Session,
  durationMs: number,
  counts: Readonly<Record<string, number>>,
): void {
  const { groups } = session.submission;
  const votesProved = session.votes.proved.reduce((sum, count) => sum + count, 0);
  const votes = { votes: votesIn(groups), votesProved };
  const line = { ...whoOf(session), groups: groups.length, ...votes };
  log.info({ ...line, durationMs: Math.round(durationMs), ...counts }, "session ended");
}
