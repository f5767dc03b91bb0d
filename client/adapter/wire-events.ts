/** Turns the service's messages into events of the adapter's state machine. */
import type {
  Outcome,
  Session,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  GapCause,
  OutcomeStatus,
  SessionState,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterEvent } from "./events.js";

/** Converts a streamed event. Null for one that this client does not know: servers may add some. */
export function eventOf(
  endpoint: string,
  { event }: StreamResultsResponse,
): AdapterEvent<Outcome> | null {
  switch (event.case) {
    case "opened":
      return { kind: "opened", endpoint, instance: event.value.serverInstance };
    case "outcome":
      return outcomeEvent(endpoint, event.value);
    case "summary": {
      const { sessionId, durationMs } = event.value;
      return { kind: "summary", endpoint, sessionId, durationMs };
    }
    case "gap": {
      const isRestart = event.value.cause === GapCause.SERVER_RESTARTED;
      const { sessionIds } = event.value;
      return { kind: "gap", endpoint, cause: isRestart ? "restarted" : "trimmed", sessionIds };
    }
    default:
      return null;
  }
}

/** Returns an `outcome` for each group of the session that has ended, then `reconciled`. */
export function eventsOfSession(endpoint: string, session: Session): AdapterEvent<Outcome>[] {
  const { sessionId, state, outcomes } = session;
  const isEnded = state === SessionState.ENDED;
  return [
    ...outcomes.map((outcome) => outcomeEvent(endpoint, outcome)),
    { kind: "reconciled", endpoint, sessionId, isEnded },
  ];
}

function outcomeEvent(endpoint: string, outcome: Outcome): AdapterEvent<Outcome> {
  const isLate = outcome.status === OutcomeStatus.PROVED_LATE;
  const isProof = isLate || outcome.status === OutcomeStatus.PROVED;
  return {
    kind: "outcome",
    endpoint,
    sessionId: outcome.sessionId,
    groupIndex: outcome.groupIndex,
    slot: Number(outcome.slot),
    message: Buffer.from(outcome.message).toString("hex"),
    isProof,
    isLate,
    // A service of an earlier version erases the bytes without `proof_erased`.
    isErased: isProof && (outcome.proofErased || outcome.proof.length === 0),
    participants: outcome.participants,
    payload: outcome,
  };
}
