/** One endpoint of a transcript: a service that answers as the steps say, and keeps what it sees. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import {
  AggregatorService,
  CancelSessionResponseSchema,
  StreamResultsResponseSchema,
  SubmitSnapshotResponseSchema,
  type CancelSessionRequest,
  type CancelSessionResponse,
  type StreamResultsRequest,
  type StreamResultsResponse,
  type SubmitSnapshotRequest,
  type SubmitSnapshotResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { grpcServiceDefinition } from "../../../tools/harness/wire/grpc-js.js";

const HEARTBEAT_MS = 500;

type ResultsCall = ServerWritableStream<StreamResultsRequest, StreamResultsResponse>;
type Event = NonNullable<
  Exclude<MessageInitShape<typeof StreamResultsResponseSchema>, StreamResultsResponse>["event"]
>;
type Code = keyof typeof status;

interface OpenSubmission {
  request: SubmitSnapshotRequest;
  reply: sendUnaryData<SubmitSnapshotResponse>;
}

export class ScriptedEndpoint {
  /** What no step has seen yet. */
  readonly streams: StreamResultsRequest[] = [];
  readonly submissions: SubmitSnapshotRequest[] = [];
  readonly cancels: CancelSessionRequest[] = [];
  broken = 0;
  /** Number of all calls and breaks so far. */
  seen = 0;
  /** By call: its number among all calls and breaks. */
  readonly arrivals = new WeakMap<object, number>();
  port = 0;
  private run = { serviceId: "", run: "" };
  private server: Server | null = null;
  private newest: ResultsCall | null = null;
  private unanswered: OpenSubmission[] = [];
  private readonly heartbeats = new Set<NodeJS.Timeout>();

  async start(run: { serviceId: string; run: string }): Promise<void> {
    this.run = run;
    this.server = new Server();
    this.server.addService(grpcServiceDefinition(AggregatorService), this.handlers(this.server));
    const credentials = ServerCredentials.createInsecure();
    const { server, port } = this;
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  stop(): void {
    const { server } = this;
    this.server = null;
    this.newest = null;
    this.unanswered = [];
    this.silence();
    server?.forceShutdown();
  }

  silence(): void {
    for (const timer of this.heartbeats) clearInterval(timer);
    this.heartbeats.clear();
  }

  send(event: Event): void {
    this.newest?.write(create(StreamResultsResponseSchema, { event }));
  }

  opened(value: Extract<Event, { case: "opened" }>["value"]): void {
    this.send({ case: "opened", value: { ...value, ...this.run } });
    const stream = this.newest;
    const event = { case: "heartbeat", value: {} } as const;
    const beat = create(StreamResultsResponseSchema, { event });
    this.heartbeats.add(setInterval(() => stream?.write(beat), HEARTBEAT_MS));
  }

  /** What the newest stream awaits. */
  get newestAwaited(): StreamResultsRequest["awaited"] {
    return this.newest?.request.awaited ?? [];
  }

  /** Answers the oldest unanswered submission of the request. */
  answer(requestId: string, answer: MessageInitShape<typeof SubmitSnapshotResponseSchema>): void {
    this.takeUnanswered(requestId).reply(null, create(SubmitSnapshotResponseSchema, answer));
  }

  accept(requestId: string, fenceMs?: number): void {
    const { request, reply } = this.takeUnanswered(requestId);
    const { deadlineMs = 0 } = request;
    const times = { deadlineMs, fenceMs: fenceMs ?? request.fenceMs ?? 0 };
    const value = { requestId, ...times, serviceId: this.run.serviceId };
    reply(null, create(SubmitSnapshotResponseSchema, { result: { case: "accepted", value } }));
  }

  fail(requestId: string, code: Code, details: string): void {
    this.takeUnanswered(requestId).reply({ code: status[code], details });
  }

  end(code: Code, details: string): void {
    const stream = this.newest;
    this.newest = null;
    stream?.emit("error", { code: status[code], details });
  }

  private takeUnanswered(requestId: string): OpenSubmission {
    const at = this.unanswered.findIndex(({ request }) => request.requestId === requestId);
    const [open] = at < 0 ? [] : this.unanswered.splice(at, 1);
    if (open === undefined) throw new Error(`no submission of ${requestId} waits for an answer`);
    return open;
  }

  private handlers(server: Server) {
    return {
      submitSnapshot: (
        { request }: ServerUnaryCall<SubmitSnapshotRequest, SubmitSnapshotResponse>,
        reply: sendUnaryData<SubmitSnapshotResponse>,
      ) => {
        this.arrivals.set(request, ++this.seen);
        this.submissions.push(request);
        this.unanswered.push({ request, reply });
      },
      streamResults: (call: ResultsCall) => {
        this.arrivals.set(call.request, ++this.seen);
        this.streams.push(call.request);
        this.newest = call;
        call.on("cancelled", () => {
          if (server !== this.server || call !== this.newest) return;
          this.seen++;
          this.broken++;
        });
      },
      cancelSession: (
        { request }: ServerUnaryCall<CancelSessionRequest, CancelSessionResponse>,
        reply: sendUnaryData<CancelSessionResponse>,
      ) => {
        this.seen++;
        this.cancels.push(request);
        reply(null, create(CancelSessionResponseSchema));
      },
      getSession: () => undefined,
      verifyAggregate: () => undefined,
      getServerInfo: () => undefined,
    };
  }
}
