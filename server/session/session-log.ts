/** The log lines of a session: that it was accepted, what became of its groups, and its end. */
import { mergeForm } from "../../proto/merge-form.js";
import { votesProved } from "../../proto/votes.js";
import type { Logger } from "../log/log.js";
import { readTraceparent } from "../traces/trace-context.js";
import type { VoteLabels } from "../metrics/vote-labels.js";
import type { DecodedGroup } from "../work/group.js";
import { priorityNames } from "../work/priority.js";
import type { RequestRecord } from "./node-record.js";
import type { Session } from "./session.js";

const votesIn = (groups: readonly DecodedGroup[]) =>
  groups.reduce((sum, { votes }) => sum + votes, 0);

/** Who submitted what; of merges also their form. */
function whoOf({ id, request: { requestId }, submission }: Session) {
  const { principal, nodeId, slot, groups, traceparent } = submission;
  const who = { session: id, request: requestId, principal: principal.name, node: nodeId };
  const forms = new Set(groups.flatMap(({ claims }) => mergeForm(claims) ?? []));
  const trace = traceparent !== undefined && { trace_id: readTraceparent(traceparent)?.traceId };
  return {
    ...who,
    ...trace,
    slot: String(slot),
    ...(forms.size > 0 && { form: [...forms].join(", ") }),
  };
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

/** Adds votes in no proof to those of their session, as `shed` or `not_started: deadline`. */
export function noteLeftOut(
  leftOut: Map<string, number>,
  { fate, reason }: VoteLabels,
  count: number,
): void {
  if (fate === "proved" || fate === "proved_late") return;
  const name = reason === "" ? fate : `${fate}: ${reason}`;
  leftOut.set(name, (leftOut.get(name) ?? 0) + count);
}

/** Of groups that were proved by several jobs: all of these together. */
function jobsOf({ trees }: RequestRecord) {
  const sum = { leaves: 0, folds: 0, done: 0, tries: 0 };
  for (const { jobs } of trees.values()) {
    sum.leaves += jobs.leaves;
    sum.folds += jobs.folds;
    sum.done += jobs.done;
    sum.tries += jobs.tries;
  }
  return sum;
}

/**
 * Votes first: how many there were, how many are in a proof, by step where the request has steps, and
 * what became of the others.
 * @param counts number of groups by outcome status
 */
export function logEnded(
  log: Logger,
  session: Session,
  durationMs: number,
  counts: Readonly<Record<string, number>>,
): void {
  const { groups, steps } = session.submission;
  const { proved } = session.votes;
  const line = {
    ...whoOf(session),
    votes: votesIn(groups),
    votesProved: votesProved(session.votes),
    ...(steps.length > 0 && { votesProvedByStep: proved }),
    ...(session.leftOut.size > 0 && { votesLeftOut: Object.fromEntries(session.leftOut) }),
    groups: groups.length,
    groupsByStatus: counts,
    ...(session.request.trees.size > 0 && { jobs: jobsOf(session.request) }),
    durationMs: Math.round(durationMs),
  };
  log.info(line, "session ended");
}
