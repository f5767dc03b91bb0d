/** The lines of sessions and skipped snapshots in the audit record; their sums are the counters'. */
import { votesProved } from "../../proto/votes.js";
import { mergeForm } from "../../proto/merge-form.js";
import type { AuditTrail } from "../audit/audit-log.js";
import type { SkipReason } from "../reasons.js";
import type { DecodedGroup } from "../work/group.js";
import { priorityNames } from "../work/priority.js";
import type { Envelope } from "../work/submission.js";
import type { Session } from "./session.js";

const THOUSAND = 1000;

/** Who submitted, and for which duty. */
function whoOf({ principal, nodeId, slot, priority }: Envelope) {
  const duty = Object.values(priorityNames)[priority - 1];
  return { principal: principal.name, node: nodeId, slot: String(slot), duty };
}

export function auditSkip(
  audit: AuditTrail | undefined,
  envelope: Envelope,
  reason: SkipReason,
): void {
  const { requestId } = envelope;
  audit?.add("skip", { ...whoOf(envelope), request: requestId, reason });
}

/** Of a session that has ended, once all prover time was charged to it. */
export function auditSession(audit: AuditTrail | undefined, session: Session): void {
  const { id, submission, request, counts, fates, coreMs, endedAtMs = 0 } = session;
  const { groups } = submission;
  const aggregates = groups.filter(({ claims }) => mergeForm(claims) === undefined);
  const line = {
    ...whoOf(submission),
    request: request.requestId,
    session: id,
    groups: Object.fromEntries(counts),
    merges: groups.length - aggregates.length,
    votes: votesIn(aggregates),
    votesByFate: Object.fromEntries(fates),
    coreSeconds: Math.round(coreMs) / THOUSAND,
    seconds: Math.round(endedAtMs - submission.receivedAtMs) / THOUSAND,
    result: resultOf(session),
  };
  audit?.add("session", line);
}

/** `proved`: every vote is in a proof or in a good child. `part`: some are. `none`. */
function resultOf({ submission, votes }: Session): "proved" | "part" | "none" {
  const proved = votesProved(votes) + votes.covered;
  if (proved === 0) return "none";
  return proved >= votesIn(submission.groups) ? "proved" : "part";
}

const votesIn = (groups: readonly DecodedGroup[]) =>
  groups.reduce((sum, { votes }) => sum + votes, 0);
