/** Checks the awaited requests of `StreamResults`, and finds what the caller has missed of them. */
import { create } from "@bufbuild/protobuf";
import type {
  AwaitedState,
  StreamResultsRequest,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AwaitedStateSchema,
  RequestState,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { hasBit, indicesToBits } from "../../proto/bitlist.js";
import { invalid, quoted, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { NodeRecord, RequestRecord, ResultEvent } from "../session/node-record.js";
import { checkId } from "./call/call-context.js";

/** What a stream was asked for, by request id. */
export interface Asked {
  /** The groups that the caller has: bit `i` is set for index `i`. */
  received: ReadonlyMap<string, Uint8Array>;
  /** One entry for each request in `awaited`, in its order. */
  states: AwaitedState[];
  /** The awaited requests that the service knows, at most those of the caller's epoch. */
  known: RequestRecord[];
}

/**
 * Throws a `Refusal` when an awaited request is malformed, occurs twice, or is unknown to a stream
 * that is only for the awaited ones.
 */
export function askedOf(request: StreamResultsRequest, record: NodeRecord): Asked {
  const { awaited, awaitedOnly, retained, node } = request;
  if (awaited.length > limits.awaitedMax) {
    throw invalid("awaited", `has ${awaited.length} entries, at most ${limits.awaitedMax}`);
  }
  const received = new Map<string, Uint8Array>();
  for (const [at, { requestId, receivedGroups }] of awaited.entries()) {
    const field = `awaited[${at}].request_id`;
    checkId(field, requestId);
    if (received.has(requestId)) throw invalid(field, `${quoted(requestId)} occurs twice`);
    received.set(requestId, receivedBits(receivedGroups, `awaited[${at}].received_groups`));
  }
  const nodeEpoch = node?.nodeEpoch ?? 0n;
  const find = (requestId: string) => {
    const found = record.get(requestId);
    return found !== undefined && isOfEpoch(found, nodeEpoch) ? found : undefined;
  };
  const named = [...received.keys()];
  const unknown = named.findIndex((requestId) => find(requestId) === undefined);
  if (awaitedOnly && unknown >= 0) {
    const detail = `no request ${quoted(named[unknown] ?? "")} of this node`;
    throw new Refusal("not_found", `awaited[${unknown}].request_id`, detail);
  }
  return {
    received,
    states: named.map((requestId) => stateOf(requestId, find(requestId))),
    known: record
      .all()
      .filter((each) => isOfEpoch(each, nodeEpoch))
      .filter(({ requestId }) => retained || received.has(requestId)),
  };
}

/** Whether a stream of this epoch has the request's events. Epoch 0 has those of every run. */
export function isOfEpoch(request: Pick<RequestRecord, "nodeEpoch">, epoch: bigint): boolean {
  return epoch === 0n || request.nodeEpoch === epoch;
}

/** The events so far that the caller does not have, in the order of group indices. */
export function missingOf(
  request: RequestRecord,
  { received }: Pick<Asked, "received">,
): ResultEvent[] {
  const has = received.get(request.requestId) ?? new Uint8Array();
  const outcomes = [...request.outcomes.values()]
    .filter(({ groupIndex }) => !hasBit(has, groupIndex))
    .sort((a, b) => a.groupIndex - b.groupIndex);
  const events = outcomes.map((outcome): ResultEvent => ({ kind: "outcome", outcome }));
  const { summary } = request;
  return summary === undefined ? events : [...events, { kind: "summary", summary }];
}

/**
 * The indices as bits: a stream keeps them while it is open, and thousands of numbers would fit in
 * its request. Throws a `Refusal` when there are more than a request has groups, or one is too high.
 */
function receivedBits(groups: readonly number[], field: string): Uint8Array {
  const { groupsSentMax } = limits;
  if (groups.length > groupsSentMax) {
    throw invalid(field, `has ${groups.length} entries, at most ${groupsSentMax}`);
  }
  const outside = groups.find((group) => group >= groupsSentMax);
  if (outside !== undefined) {
    throw invalid(field, `${outside}: a request has at most ${groupsSentMax} groups`);
  }
  return indicesToBits(groups);
}

function stateOf(requestId: string, found: RequestRecord | undefined): AwaitedState {
  const state =
    found === undefined
      ? RequestState.UNKNOWN
      : found.summary === undefined
        ? RequestState.IN_FLIGHT
        : RequestState.ENDED;
  return create(AwaitedStateSchema, { requestId, state });
}
