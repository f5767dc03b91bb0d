/** The activities of a session for the operator's live view: see `activity.ts`. */
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ActivityRecord } from "../activity.js";
import { limits } from "../limits.js";
import { shapeOf } from "../work/shape.js";
import type { Session } from "./session.js";

export function acceptedActivity(
  { id, request, submission }: Session,
  atMs: number,
): ActivityRecord {
  const { nodeId, slot, priority, receivedAtMs, deadlineAtMs, fenceAtMs, groups } = submission;
  const { traceparent = "" } = submission;
  const value = {
    sessionId: id,
    requestId: request.requestId,
    nodeId,
    slot,
    priority,
    receivedAtMs,
    deadlineAtMs,
    fenceAtMs,
    traceparent,
    groups: groups.slice(0, limits.groupsMax).map(({ work, votes }) => {
      const { raws, children, messages = 0 } = shapeOf(work);
      return { votes, rawSignatures: raws, children, messages };
    }),
  };
  return { atMs, event: { case: "accepted", value } };
}

export interface LaneOfAttempt {
  deviceId: string;
  /** Undefined where they are not known. */
  cores?: number | undefined;
}

export interface StartedGroup {
  group: number;
  attempt: number;
}

export function startedActivity(
  sessionId: string,
  { group, attempt }: StartedGroup,
  lane: LaneOfAttempt | undefined,
  atMs: number,
): ActivityRecord {
  const { deviceId = "", cores = 0 } = lane ?? {};
  const value = { sessionId, groupIndex: group, attempt, deviceId, cores };
  return { atMs, event: { case: "started", value } };
}

/** @param attempt of the tree */
export function jobActivity(
  attempt: number,
  job: number,
  lane: LaneOfAttempt | undefined,
  atMs: number,
): ActivityRecord {
  const { deviceId = "", cores = 0 } = lane ?? {};
  return { atMs, event: { case: "job", value: { attempt, job, deviceId, cores } } };
}

export function endedActivity(session: Session, outcome: Outcome, atMs: number): ActivityRecord {
  const { groupIndex, status, reason, votes, proveMs } = outcome;
  const value = { sessionId: session.id, groupIndex, status, reason, proveMs };
  return { atMs, event: { case: "ended", value: { ...value, ...(votes && { votes }) } } };
}
