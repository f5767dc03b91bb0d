/** What both RPC stacks are sent in their comparison, and the results that they stream. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import {
  Priority,
  StreamResultsResponseSchema,
  SubmitSnapshotRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { PROVABLE, provableGroup, snapshotOf, unprovableSnapshot } from "./inputs.js";

/** The node of every submission that is timed. */
export const SUBMITTER = { nodeId: "stacks", nodeEpoch: 1n };
const STREAMER = { nodeId: "stacks-stream", nodeEpoch: 1n };
/** The fence is the longest there is: proofs are kept until then. */
const BUDGETS = { deadlineMs: 60_000, fenceMs: 120_000 };
const SESSIONS = 8;
const RAWS = 64;
const ID_LENGTH = 8;

export interface EncodedSubmission {
  /** The request under a new id. The same memory each time: good until the next call. */
  next(): Buffer;
}

/** A snapshot of about so many bytes that costs no proof; its id is not shared with any other. */
export function encodedSubmission(bytes: number): EncodedSubmission {
  const snapshot = unprovableSnapshot(bytes);
  const request = { node: SUBMITTER, snapshot, priority: Priority.BACKLOG, ...BUDGETS };
  // A second encoding of a message, appended, is merged into the first: the id is at the end.
  const id = encode({ requestId: "0".repeat(ID_LENGTH) });
  const encoded = Buffer.concat([encode(request), id]);
  return {
    next() {
      encoded.write(nextId(), encoded.length - ID_LENGTH);
      return encoded;
    },
  };
}

let ids = 0;

function nextId(): string {
  return (++ids).toString().padStart(ID_LENGTH, "0");
}

/** Has proofs made, for a node that may be streamed from its start until the fence. */
export async function retainResults(address: string) {
  const client = new AggregatorClient({ address });
  const snapshot = snapshotOf(PROVABLE.map((vector) => provableGroup(vector, RAWS)));
  const request = { node: STREAMER, snapshot, priority: Priority.AGGREGATION, ...BUDGETS };
  for (let i = 0; i < SESSIONS; i++) {
    const { result } = await client.submitSnapshot({ ...request, requestId: nextId() });
    if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
    const { sessionId } = result.value;
    await client.getSession({ node: STREAMER, sessionId, waitMs: 60_000 });
  }
  const sizes: number[] = [];
  for await (const response of client.streamResults({ node: STREAMER, noFollow: true })) {
    const { event } = response;
    if (event.case === "outcome" && event.value.proof.length > 0)
      sizes.push(toBinary(StreamResultsResponseSchema, response).length);
  }
  client.close();
  const outcomes = SESSIONS * PROVABLE.length;
  if (sizes.length !== outcomes) throw new Error(`${sizes.length} of ${outcomes} were proved`);
  const outcomeBytes = sizes.reduce((sum, size) => sum + size, 0) / outcomes;
  return { node: STREAMER, outcomes, outcomeBytes };
}

function encode(request: MessageInitShape<typeof SubmitSnapshotRequestSchema>): Uint8Array {
  return toBinary(SubmitSnapshotRequestSchema, create(SubmitSnapshotRequestSchema, request));
}
