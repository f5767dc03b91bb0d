/**
 * `StreamResults`: sends the events of a node's log from the caller's cursor on, one at a time. A
 * stream of a single session ends with that session.
 */
import { create } from "@bufbuild/protobuf";
import { createLinkedAbortController } from "@connectrpc/connect/protocol";
import type {
  StreamResultsRequest,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  GapCause,
  OpenedSchema,
  StreamResultsResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { NodeRecord } from "../session/nodes.js";
import type { LogEntry } from "../session/results-log.js";
import type { CallContext } from "./call-context.js";

/** What ends a stream or a waiting call from outside. */
export interface Reader extends Pick<CallContext, "signal" | "draining"> {
  /** Aborts when the policy no longer allows the call. */
  revoked: AbortSignal;
}

export interface ResultsModules {
  /** Identifies this run of the service. */
  instance: string;
  /** Throws a `Refusal` for a session that this node does not have or that is forgotten. */
  isInFlight(sessionId: string): boolean;
}

/** Throws a `Refusal` for an invalid cursor, an unknown session, or one stream too many. */
export async function* resultsOf(
  record: NodeRecord,
  request: StreamResultsRequest,
  { signal, draining, revoked }: Reader,
  { instance, isInFlight }: ResultsModules,
): AsyncGenerator<StreamResultsResponse> {
  const { log } = record;
  const position = log.parseCursor(request.cursor);
  if (record.streams >= limits.streamsPerNodeMax) {
    const detail = `${limits.streamsPerNodeMax} streams of this node are open`;
    throw new Refusal("resource_exhausted", "node.node_id", detail);
  }
  let { seq } = position;
  const message = (at: number, event: StreamResultsResponse["event"]) =>
    create(StreamResultsResponseSchema, { cursor: log.cursor(at), event });
  const waiting = createLinkedAbortController(signal, draining, revoked);
  record.streams++;
  try {
    const opened = { serviceId: instance, run: instance, serverInstance: instance };
    yield message(seq, { case: "opened", value: create(OpenedSchema, opened) });
    if (position.isOtherInstance) yield message(seq, gap(GapCause.SERVER_RESTARTED, 0, []));
    while (!signal.aborted && !revoked.aborted) {
      const read = log.readAfter(seq);
      if (read.kind === "gap") {
        seq = read.resumeSeq;
        yield message(seq, gap(GapCause.TRIMMED, read.events, read.sessionIds));
      } else if (read.kind === "entry") {
        ({ seq } = read.entry);
        if (!isWanted(request, read.entry)) continue;
        const { event } = read.entry;
        if (event.kind === "outcome") yield message(seq, { case: "outcome", value: event.outcome });
        else {
          yield message(seq, { case: "summary", value: event.summary });
          if (request.sessionId !== "") return;
        }
      } else {
        // All events are sent if the session has ended; `isInFlight` throws for an unknown session.
        if (request.sessionId !== "" && !isInFlight(request.sessionId)) return;
        if (request.noFollow || draining.aborted) return;
        await log.changed(waiting.signal);
      }
    }
  } finally {
    record.streams--;
    waiting.abort();
  }
}

/**
 * A stream of one session has that session's events alone. Any other stream leaves out what an
 * earlier or later run of the node has submitted: no one there waits for it.
 */
function isWanted({ sessionId, node }: StreamResultsRequest, entry: LogEntry): boolean {
  if (sessionId !== "") return entry.sessionId === sessionId;
  const nodeEpoch = node?.nodeEpoch ?? 0n;
  return nodeEpoch === 0n || entry.nodeEpoch === 0n || entry.nodeEpoch === nodeEpoch;
}

function gap(
  cause: GapCause,
  events: number,
  sessionIds: string[],
): StreamResultsResponse["event"] {
  const value = {
    $typeName: "lean.aggregator.v1.Gap",
    cause,
    events: BigInt(events),
    sessionIds,
  } as const;
  return { case: "gap", value };
}
