/** Result streams of one node on an injected clock, for tests. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import type { StreamResultsResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeSchema,
  ServiceState,
  StatusSchema,
  StreamResultsRequestSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Changes } from "../../../server/changes.js";
import { resultsOf } from "../../../server/rpc/stream-results.js";
import { NodeRecord } from "../../../server/session/node-record.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";
import { askedOf } from "../../helpers/request-record.js";

export const FENCE_MS = 60_000;
export const PROOF = new Uint8Array(1000).fill(7);

/** The record of a node, and its streams. */
export function start({ eventsMax = 100, requestsMax = 50 } = {}) {
  const clock = new VirtualClock();
  const record = new NodeRecord({ eventsMax, requestsMax }, () => clock.nowMs());
  const changes = new Changes();
  const ready = create(StatusSchema, { state: ServiceState.READY });
  const status = { current: ready, changes };
  const draining = new AbortController();
  const never = new AbortController().signal;
  const add = (requestId: string, nodeEpoch = 0n) =>
    record.add(askedOf(requestId, { nodeEpoch, fenceAtMs: FENCE_MS, groups: 3 }));
  const outcome = (requestId: string, groupIndex: number, proof = new Uint8Array()) =>
    record.append(requestId, {
      kind: "outcome",
      outcome: create(OutcomeSchema, { requestId, groupIndex, proof }),
    });
  const end = (requestId: string) =>
    record.append(requestId, { kind: "summary", summary: create(SummarySchema, { requestId }) });
  const open = (request: Request = {}, revoked: AbortSignal = never) => {
    const whole = create(StreamResultsRequestSchema, request);
    const reader = { signal: never, revoked, draining: draining.signal };
    const names = { serviceId: "service", run: "run" };
    return resultsOf(record, whole, reader, { clock, status, ...names });
  };
  return { clock, record, status, draining, add, outcome, end, open };
}

export type Request = Exclude<
  MessageInitShape<typeof StreamResultsRequestSchema>,
  { $typeName: string }
>;
type Stream = AsyncGenerator<StreamResultsResponse>;

export async function take(stream: Stream): Promise<StreamResultsResponse["event"]> {
  const { value } = await stream.next();
  if (value === undefined) throw new Error("the stream has ended");
  return value.event;
}

/** A line for each event. */
export function lineOf(event: StreamResultsResponse["event"]): string {
  if (event.case === "outcome") return `${event.value.requestId}/${event.value.groupIndex}`;
  return event.case === "summary" ? `${event.value.requestId} ended` : String(event.case);
}

/** The lines of the next events, up to so many. */
export async function lines(stream: Stream, count = Infinity): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const { value } = await stream.next();
    if (value === undefined) break;
    found.push(lineOf(value.event));
  }
  return found;
}

export const awaits = (...requestIds: string[]) => ({
  awaited: requestIds.map((requestId) => awaited(requestId)),
});
export const awaited = (requestId: string, receivedGroups: number[] = []) => ({
  requestId,
  receivedGroups,
});
