/** `StreamResults` by cursor or session id, for clients that do not name awaited requests yet. */
import { create } from "@bufbuild/protobuf";
import type {
  StreamResultsRequest,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AwaitedSchema,
  GapCause,
  GapSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid, quoted, Refusal } from "../errors.js";
import type { NodeRecord } from "../session/node-record.js";

export interface LegacyStart {
  request: StreamResultsRequest;
  /** Number of the event after which the stream follows; absent: after what is missing. */
  afterSeq?: number;
  /** Sent after `opened`. */
  gap?: StreamResultsResponse["event"];
}

export function legacyStart(
  record: NodeRecord,
  request: StreamResultsRequest,
  run: string,
): LegacyStart {
  const { cursor, sessionId } = request;
  if (sessionId !== "") {
    const requestId = record.ofSession(sessionId)?.requestId;
    if (requestId === undefined) {
      throw new Refusal("not_found", "session_id", `no session ${quoted(sessionId)} of this node`);
    }
    const awaited = [create(AwaitedSchema, { requestId })];
    return { request: { ...request, awaited, awaitedOnly: true, retained: false } };
  }
  if (cursor === "") return { request };
  const plain = Buffer.from(cursor, "base64url");
  const match = /^([0-9a-f]{16}):(0|[1-9]\d{0,14})$/.exec(plain.toString());
  // The decoder ignores characters that are not base64.
  if (match === null || plain.toString("base64url") !== cursor) {
    throw invalid("cursor", "is not a cursor of this service");
  }
  const afterSeq = Number(match[2]);
  const isOfRun = match[1] === run;
  const isKnown = isOfRun && afterSeq <= record.lastSeq && record.readAfter(afterSeq) !== "behind";
  if (isKnown) return { request, afterSeq };
  const cause = isOfRun ? GapCause.TRIMMED : GapCause.SERVER_RESTARTED;
  const gap = { case: "gap", value: create(GapSchema, { cause }) } as const;
  return { request: { ...request, retained: true }, gap };
}

export function legacyCursor(run: string, seq: number): string {
  return Buffer.from(`${run}:${seq}`).toString("base64url");
}
