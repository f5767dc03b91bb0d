/**
 * The awaited requests of StreamResults: refused, or each answered in its order; of a known one, the
 * caller gets exactly the events that it does not name.
 */
import { create } from "@bufbuild/protobuf";
import type { StreamResultsRequest } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeSchema,
  RequestState,
  StreamResultsRequestSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { askedOf, missingOf } from "../../../server/rpc/awaited.js";
import { NodeRecord } from "../../../server/session/node-record.js";
import { protobufMutator } from "../engine/mutate-protobuf.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { decodeRequest } from "../in-process.js";
import { checkRefusal } from "../refusals.js";
import { encoded, node } from "../seeds.js";

/** Groups of each request; the requests `ended` and `other-run` have ended, `half` has not. */
const GROUPS = 4;
const IDS = ["ended", "half", "other-run"];

export const target: FuzzTarget = {
  name: "awaited",
  bytesMax: 16 * 1024,
  msMax: 20,
  msPerKb: 5,
  seeds: () => [
    encoded(StreamResultsRequestSchema, { node, retained: true }),
    encoded(StreamResultsRequestSchema, {
      node,
      awaited: [
        { requestId: "ended", receivedGroups: [0, 3] },
        { requestId: "half", receivedGroups: [] },
        { requestId: "unknown", receivedGroups: [4_294_967_295] },
      ],
    }),
    encoded(StreamResultsRequestSchema, {
      node: { ...node, nodeEpoch: 2n },
      awaited: [{ requestId: "other-run" }, { requestId: "other-run" }],
      awaitedOnly: true,
    }),
  ],
  mutate: protobufMutator(StreamResultsRequestSchema),
  open: () => {
    const record = recordWithRequests();
    return { run: (input) => run(record, input) };
  },
};

function recordWithRequests(): NodeRecord {
  const record = new NodeRecord({ requestsMax: 10, eventsMax: 100 }, () => 0);
  for (const requestId of IDS) {
    record.add({
      requestId,
      sessionId: `session-${requestId}`,
      nodeEpoch: requestId === "other-run" ? 2n : 1n,
      contentDigest: "",
      receivedAtMs: 0,
      fenceAtMs: 1000,
      groups: GROUPS,
      accepted: { deadlineMs: 1, fenceMs: 1000, deadlineSource: 1, predictedFinishMs: 1 },
    });
    const ended = requestId === "half" ? GROUPS / 2 : GROUPS;
    for (let groupIndex = 0; groupIndex < ended; groupIndex++) {
      const outcome = create(OutcomeSchema, { requestId, groupIndex });
      record.append(requestId, { kind: "outcome", outcome });
    }
    if (ended < GROUPS) continue;
    const summary = create(SummarySchema, { requestId, groups: GROUPS });
    record.append(requestId, { kind: "summary", summary });
  }
  return record;
}

function run(record: NodeRecord, input: Uint8Array): void {
  let request: StreamResultsRequest;
  let asked;
  try {
    request = decodeRequest(StreamResultsRequestSchema, input);
    asked = askedOf(request, record);
  } catch (error) {
    return checkRefusal(error, ["invalid_argument", "not_found"]);
  }
  const { awaited, retained } = request;
  holds(awaited.length <= limits.awaitedMax, "no more are awaited than the limit");
  const named = awaited.map(({ requestId }) => requestId);
  holds(new Set(named).size === named.length, "each is awaited once");
  const answered = asked.states.map(({ requestId }) => requestId);
  holds(String(answered) === String(named), "each is answered, in its order");
  for (const { requestId, state } of asked.states) {
    const isKnown = asked.known.some((each) => each.requestId === requestId);
    holds(isKnown === (state !== RequestState.UNKNOWN), "what is known is named as known");
    holds(!isKnown || IDS.includes(requestId), "no request is invented");
  }
  for (const known of asked.known) {
    const entry = awaited.find(({ requestId }) => requestId === known.requestId);
    holds(entry !== undefined || retained, "nothing is sent that was not asked for");
    const has = new Set(entry?.receivedGroups ?? []);
    const sent = missingOf(known, asked).flatMap((event) =>
      event.kind === "outcome" ? [event.outcome.groupIndex] : [],
    );
    const missing = [...known.outcomes.keys()].filter((group) => !has.has(group));
    holds(String(sent) === String(missing), "what is missing is sent once, in order");
  }
}
