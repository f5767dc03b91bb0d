/** A grpc-js server on a port of its own that plays the service as the test says. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import {
  AggregatorService,
  CancelSessionResponseSchema,
  OutcomeStatus,
  RequestState,
  ServiceState,
  StreamResultsResponseSchema,
  SubmitSnapshotResponseSchema,
  type CancelSessionRequest,
  type StreamResultsRequest,
  type StreamResultsResponse,
  type SubmitSnapshotRequest,
  type SubmitSnapshotResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { grpcServiceDefinition } from "../../../tools/harness/wire/grpc-js.js";

type ResultsCall = ServerWritableStream<StreamResultsRequest, StreamResultsResponse>;
type Answer = MessageInitShape<typeof SubmitSnapshotResponseSchema>;
type Event = NonNullable<
  Exclude<MessageInitShape<typeof StreamResultsResponseSchema>, StreamResultsResponse>["event"]
>;
interface OutcomeFields {
  groupIndex?: number;
  proof?: Uint8Array;
  participants?: Uint8Array;
}

/** The bytes of every proof that it streams. */
export const PROOF = new Uint8Array(32).fill(7);

export class ScriptedService {
  readonly submits: SubmitSnapshotRequest[] = [];
  readonly streams: ResultsCall[] = [];
  readonly cancels: CancelSessionRequest[] = [];
  /** The error for every submission; null: they get `answerTo`. */
  refuseWith: { code: number; details: string } | null = null;
  /** Whether it knows the requests that a stream awaits. */
  isKnowing = true;
  private readonly server = new Server();

  constructor(readonly serviceId = "s1") {}

  answerTo: (request: SubmitSnapshotRequest) => Answer = (request) => this.accepted(request);

  accepted({ requestId }: SubmitSnapshotRequest): Answer {
    const value = { requestId, fenceMs: 60_000, serviceId: this.serviceId };
    return { result: { case: "accepted", value } };
  }

  async listen(): Promise<string> {
    this.server.addService(grpcServiceDefinition(AggregatorService), {
      submitSnapshot: (
        call: ServerUnaryCall<SubmitSnapshotRequest, SubmitSnapshotResponse>,
        reply: sendUnaryData<SubmitSnapshotResponse>,
      ) => {
        this.submits.push(call.request);
        if (this.refuseWith !== null) return reply(this.refuseWith);
        reply(null, create(SubmitSnapshotResponseSchema, this.answerTo(call.request)));
      },
      streamResults: (call: ResultsCall) => {
        this.streams.push(call);
        const state = this.isKnowing ? RequestState.IN_FLIGHT : RequestState.UNKNOWN;
        const awaited = call.request.awaited.map(({ requestId }) => ({ requestId, state }));
        const { serviceId } = this;
        const status = { state: ServiceState.READY };
        this.send({ case: "opened", value: { serviceId, run: "r1", status, awaited } });
      },
      cancelSession: (
        call: ServerUnaryCall<CancelSessionRequest, unknown>,
        reply: sendUnaryData<unknown>,
      ) => {
        this.cancels.push(call.request);
        reply(null, create(CancelSessionResponseSchema));
      },
      getSession: () => undefined,
      verifyAggregate: () => undefined,
      getServerInfo: () => undefined,
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    return `127.0.0.1:${port}`;
  }

  /** Sends the event on the newest stream. */
  send(event: Event): void {
    this.streams.at(-1)?.write(create(StreamResultsResponseSchema, { event }));
  }

  /** Sends a proof for a group of the request, or of the last one. */
  proved(
    { groupIndex = 0, proof = PROOF, participants }: OutcomeFields = {},
    requestId = this.submits.at(-1)?.requestId ?? "",
  ): void {
    const status = OutcomeStatus.PROVED;
    const bits = participants ?? new Uint8Array([3 + groupIndex * 4]);
    const value = { requestId, groupIndex, slot: 5n, message: PROOF, status, proof };
    this.send({ case: "outcome", value: { ...value, participants: bits } });
  }

  summary(requestId = this.submits.at(-1)?.requestId ?? ""): void {
    this.send({ case: "summary", value: { requestId, slot: 5n, groups: 1, durationMs: 1200 } });
  }

  stop(): void {
    this.server.forceShutdown();
  }
}
