/**
 * `StreamResults`: tells first which awaited requests are known, then sends what the caller has
 * missed of those, then the node's events as they come, one at a time. No event is sent twice or
 * left out: what is missing is fixed at the moment after which the stream follows. A heartbeat, like
 * every event, is made when the caller has taken the event before, so nothing queues up.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { createLinkedAbortController } from "@connectrpc/connect/protocol";
import type {
  Status,
  StreamResultsRequest,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  HeartbeatSchema,
  OpenedSchema,
  SendingSchema,
  StreamResultsResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { hasBit } from "../../proto/bitlist.js";
import { nextChange } from "../changes.js";
import type { Clock } from "../clock.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type {
  NodeRecord,
  NumberedEvent,
  RequestRecord,
  ResultEvent,
} from "../session/node-record.js";
import type { Asked } from "./awaited.js";
import { askedOf, isOfEpoch, missingOf } from "./awaited.js";
import type { CallContext } from "./call/call-context.js";
import type { Deliveries } from "./deliveries.js";
import type { ServiceStatus } from "./service-status.js";
import { limitsView } from "./messages/status-view.js";

/** What ends a stream or a waiting call from outside. */
export interface Reader extends Pick<CallContext, "signal" | "draining"> {
  /** Aborts when the policy no longer allows the call. */
  revoked: AbortSignal;
}

export interface ResultsModules {
  clock: Clock;
  status: Pick<ServiceStatus, "current" | "changes">;
  /** Notes what the caller has taken. Default: nothing does. */
  deliveries?: Deliveries;
  /** Names the service, over all its runs. */
  serviceId: string;
  /** Names this run of the service. */
  run: string;
}

type Event = StreamResultsResponse["event"];

/**
 * An outcome of more bytes is announced, and each with a proof: readers give a stream up that sends nothing
 * for 1500 ms, in which one of this size arrives over a link of 22 KB/s.
 */
const UNANNOUNCED_BYTES_MAX = 32 * 1024;

/**
 * Throws a `Refusal` for a malformed or unknown request (see `askedOf`), for one stream too many,
 * for a reader that is too slow, and for an epoch that is lower than that of a later call.
 */
export async function* resultsOf(
  record: NodeRecord,
  request: StreamResultsRequest,
  reader: Reader,
  modules: ResultsModules,
): AsyncGenerator<StreamResultsResponse> {
  const open = { nodeEpoch: request.node?.nodeEpoch ?? 0n };
  checkStreams(record, open.nodeEpoch);
  const stream = new ResultStream(record, request, reader, modules);
  record.streams.add(open);
  try {
    for await (const event of stream.events()) {
      yield create(StreamResultsResponseSchema, { event });
      stream.taken();
      if (event.case !== "outcome") continue;
      const { requestId, groupIndex } = event.value;
      modules.deliveries?.note(record.get(requestId), [groupIndex]);
    }
  } finally {
    record.streams.delete(open);
    stream.end();
  }
}

/**
 * Throws a `Refusal` for one stream too many. Streams without an epoch count apart: people who read
 * must not take the places of the node itself.
 */
function checkStreams({ streams }: NodeRecord, nodeEpoch: bigint): void {
  const { streamsPerNodeMax } = limits;
  const isPersons = nodeEpoch === 0n;
  const alike = [...streams].filter((each) => (each.nodeEpoch === 0n) === isPersons);
  if (alike.length < streamsPerNodeMax) return;
  const which = isPersons ? "without a node_epoch" : "with a node_epoch";
  const detail = `${streamsPerNodeMax} streams of this node ${which} are open`;
  throw new Refusal("resource_exhausted", "node.node_id", detail);
}

/** An event that the caller has missed, by name: the record may forget its request before its turn. */
interface Missed {
  requestId: string;
  sessionId: string;
  /** Undefined for the summary. */
  groupIndex: number | undefined;
}

class ResultStream {
  private readonly states: Asked["states"];
  /**
   * The groups that the caller has of the sessions that were known when it asked: a later session of the same
   * request id has other outcomes.
   */
  private readonly received: ReadonlyMap<string, Uint8Array | undefined>;
  /** Fixed when the stream begins: what comes later has a number above `seq`. */
  private readonly missing: readonly Missed[];
  /** Ids of the awaited requests whose summary is not sent yet. */
  private readonly open: Set<string>;
  /** Number of the last event that is sent, or was there when the stream began. */
  private seq: number;
  private status: Status;
  /** When the caller had taken the last event. */
  private takenAtMs: number;
  private readonly waiting: AbortController;

  constructor(
    private readonly record: NodeRecord,
    private readonly request: StreamResultsRequest,
    private readonly reader: Reader,
    private readonly modules: ResultsModules,
  ) {
    const { known, ...asked } = askedOf(request, record);
    this.states = asked.states;
    this.received = new Map(
      known.map(({ sessionId, requestId }) => [sessionId, asked.received.get(requestId)]),
    );
    this.missing = known.flatMap((each) =>
      missingOf(each, asked).map((event) => ({
        requestId: each.requestId,
        sessionId: each.sessionId,
        groupIndex: event.kind === "outcome" ? event.outcome.groupIndex : undefined,
      })),
    );
    this.open = new Set(known.map(({ requestId }) => requestId));
    this.seq = record.lastSeq;
    this.status = modules.status.current;
    this.takenAtMs = modules.clock.nowMs();
    this.waiting = createLinkedAbortController(reader.signal, reader.draining, reader.revoked);
  }

  taken(): void {
    this.takenAtMs = this.modules.clock.nowMs();
  }

  end(): void {
    this.waiting.abort();
  }

  async *events(): AsyncGenerator<Event> {
    yield this.opened();
    for (const missed of this.missing) {
      if (this.isOver) return;
      this.record.checkEpoch(this.epoch);
      yield* this.missed(missed);
    }
    yield* this.live();
  }

  private *missed({ requestId, sessionId, groupIndex }: Missed): Generator<Event> {
    const request = this.record.get(requestId);
    if (request === undefined || request.sessionId !== sessionId) throw behind();
    const { outcomes, summary } = request;
    if (groupIndex === undefined) {
      if (summary !== undefined) yield* this.result(request, { kind: "summary", summary });
      return;
    }
    const outcome = outcomes.get(groupIndex);
    if (outcome !== undefined) yield* this.result(request, { kind: "outcome", outcome });
  }

  private async *live(): AsyncGenerator<Event> {
    while (!this.isOver) {
      this.record.checkEpoch(this.epoch);
      const isDone = this.request.awaitedOnly && this.open.size === 0;
      if (isDone) return;
      const next = this.record.readAfter(this.seq);
      if (next === "behind") throw behind();
      if (next !== undefined) {
        this.seq = next.seq;
        if (this.isWanted(next)) yield* this.result(next.request, next.event);
      } else if (this.status !== this.modules.status.current) {
        this.status = this.modules.status.current;
        yield { case: "status", value: this.status };
      } else if (this.request.noFollow || this.reader.draining.aborted) {
        return;
      } else {
        yield* this.wait();
      }
    }
  }

  /** Waits for something to send; sends a heartbeat when there was nothing for so long. */
  private async *wait(): AsyncGenerator<Event> {
    const { clock, status } = this.modules;
    const atMs = this.takenAtMs + limits.heartbeatMs;
    if (clock.nowMs() >= atMs) yield { case: "heartbeat", value: create(HeartbeatSchema) };
    else {
      const sources = [this.record.changes, status.changes];
      await nextChange(sources, this.waiting.signal, { clock, atMs });
    }
  }

  /**
   * The event, after the announcement of its size if it is large or has a proof. Throws a `Refusal` when the
   * request was forgotten while the caller took what came before.
   */
  private *result(request: RequestRecord, event: ResultEvent): Generator<Event> {
    const { requestId } = request;
    if (event.kind === "summary") {
      this.open.delete(requestId);
      yield { case: "summary", value: event.summary };
      return;
    }
    const value: Event = { case: "outcome", value: event.outcome };
    // `get` erases a proof that has met its fence.
    if (this.record.get(requestId) !== request) throw behind();
    const message = create(StreamResultsResponseSchema, { event: value });
    const bytes = toBinary(StreamResultsResponseSchema, message).length;
    if (event.outcome.proof.length > 0 || bytes > UNANNOUNCED_BYTES_MAX) {
      yield { case: "sending", value: create(SendingSchema, { bytes }) };
      // The caller may have left, or may no longer read.
      if (this.isOver) return;
      if (this.record.get(requestId) !== request) throw behind();
    }
    yield value;
  }

  private isWanted({ request, event }: NumberedEvent): boolean {
    const received = this.received.get(request.sessionId);
    const isReceived =
      event.kind === "outcome" &&
      received !== undefined &&
      hasBit(received, event.outcome.groupIndex);
    if (isReceived) return false;
    if (this.request.awaitedOnly) return this.open.has(request.requestId);
    return isOfEpoch(request, this.epoch);
  }

  private get isOver(): boolean {
    return this.reader.signal.aborted || this.reader.revoked.aborted;
  }

  private get epoch(): bigint {
    return this.request.node?.nodeEpoch ?? 0n;
  }

  private opened(): Event {
    const { serviceId, run } = this.modules;
    const { status, states: awaited } = this;
    const opened = { serviceId, run, status, limits: limitsView(), awaited };
    return { case: "opened", value: create(OpenedSchema, opened) };
  }
}

function behind(): Refusal {
  const detail =
    "behind: the reader was too slow, and events after its last one are dropped: open a new " +
    "stream and name the awaited requests";
  return new Refusal("aborted", "", detail);
}
