/** Turns the service's messages into events of the adapter's machine. */
import type {
  AwaitedState,
  Outcome,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
  RequestState,
  ServiceState as WireState,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { decodeSszBitlist } from "../../proto/bitlist.js";
import type { AdapterEvent, ServiceState } from "../machine/index.js";

/**
 * Converts a streamed event. Null for one that says nothing to the machine, or that this client does
 * not know: servers may add some. `isSszBitlists` says whether the participants of a request's
 * outcomes have a length bit.
 */
export function eventOf(
  endpoint: string,
  { event }: StreamResultsResponse,
  isSszBitlists: (requestId: string) => boolean,
): AdapterEvent<Outcome> | null {
  switch (event.case) {
    case "opened": {
      const { serviceId, status, awaited } = event.value;
      const named = awaited.flatMap(awaitedOf);
      return { kind: "opened", endpoint, serviceId, state: stateOf(status?.state), awaited: named };
    }
    case "outcome":
      return outcomeEvent(endpoint, event.value, isSszBitlists(event.value.requestId));
    case "summary": {
      const { requestId, durationMs } = event.value;
      return { kind: "summary", endpoint, requestId, durationMs };
    }
    case "status":
      return { kind: "status", endpoint, state: stateOf(event.value.state) };
    default:
      return null;
  }
}

function awaitedOf({ requestId, state }: AwaitedState): { requestId: string; isKnown: boolean }[] {
  switch (state) {
    case RequestState.IN_FLIGHT:
    case RequestState.ENDED:
      return [{ requestId, isKnown: true }];
    case RequestState.UNKNOWN:
      return [{ requestId, isKnown: false }];
    default:
      return [];
  }
}

/** A state that this client does not know says nothing against sending. */
function stateOf(state: WireState | undefined): ServiceState {
  switch (state) {
    case WireState.NO_PROVER:
      return "no_prover";
    case WireState.DRAINING:
      return "draining";
    default:
      return "ready";
  }
}

function outcomeEvent(
  endpoint: string,
  outcome: Outcome,
  hasLengthBit: boolean,
): AdapterEvent<Outcome> {
  const { status, participants } = outcome;
  const isLate = status === OutcomeStatus.PROVED_LATE;
  const isProof = isLate || status === OutcomeStatus.PROVED;
  return {
    kind: "outcome",
    endpoint,
    requestId: outcome.requestId,
    groupIndex: outcome.groupIndex,
    message: Buffer.from(outcome.message).toString("hex"),
    isProof,
    isLate,
    isErased: isProof && (outcome.proofErased || outcome.proof.length === 0),
    isDrained: !isProof && outcome.reason === OutcomeReason.DRAINING,
    participants: hasLengthBit ? bitsOf(participants) : participants,
    payload: outcome,
  };
}

/** Outcomes without a proof have no participants, and so no length bit. */
function bitsOf(participants: Uint8Array): Uint8Array {
  return decodeSszBitlist(participants)?.bits ?? participants;
}
