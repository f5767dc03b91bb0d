/** A grpc-js server on a port of its own that plays the service as the test says. */
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
  GetSessionResponseSchema,
  OutcomeStatus,
  type SessionSchema,
  StreamResultsResponseSchema,
  SubmitSnapshotResponseSchema,
  type StreamResultsRequest,
  type StreamResultsResponse,
  type SubmitSnapshotRequest,
  type SubmitSnapshotResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { grpcServiceDefinition } from "../../../tools/harness/grpc-js.js";

type ResultsCall = ServerWritableStream<StreamResultsRequest, StreamResultsResponse>;
type Answer = MessageInitShape<typeof SubmitSnapshotResponseSchema>;
type Response = MessageInitShape<typeof StreamResultsResponseSchema>;

/** The bytes of every proof that it streams. */
export const PROOF = new Uint8Array(32).fill(7);

export class ScriptedService {
  readonly submits: SubmitSnapshotRequest[] = [];
  readonly streams: ResultsCall[] = [];
  readonly cancels: string[] = [];
  instance = "i1";
  refusedCursor = "";
  /** The error for every submission; null: they get `answer`. */
  refuseWith: { code: number; details: string } | null = null;
  session: MessageInitShape<typeof SessionSchema> = {};
  answer: Answer = { result: { case: "accepted", value: { sessionId: "s1", fenceMs: 60_000 } } };
  answerTo: (request: SubmitSnapshotRequest) => Answer = () => this.answer;
  private readonly server = new Server();

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
        if (call.request.cursor !== "" && call.request.cursor === this.refusedCursor)
          return call.emit("error", { code: status.INVALID_ARGUMENT, details: "cursor: refused" });
        const opened = { case: "opened", value: { serverInstance: this.instance } } as const;
        call.write(create(StreamResultsResponseSchema, { event: opened }));
      },
      cancelSession: (
        call: ServerUnaryCall<{ sessionId: string }, unknown>,
        reply: sendUnaryData<unknown>,
      ) => {
        this.cancels.push(call.request.sessionId);
        reply(null, create(CancelSessionResponseSchema));
      },
      getSession: (_call: unknown, reply: sendUnaryData<unknown>) => {
        reply(null, create(GetSessionResponseSchema, { session: this.session }));
      },
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

  send(response: Response): void {
    this.streams.at(-1)?.write(create(StreamResultsResponseSchema, response));
  }

  proved(cursor: string, groupIndex = 0, proof = PROOF): void {
    const status = OutcomeStatus.PROVED;
    const value = { sessionId: "s1", groupIndex, slot: 5n, message: PROOF, status };
    const bytes = { participants: new Uint8Array([3 + groupIndex * 4]), proof };
    this.send({ cursor, event: { case: "outcome", value: { ...value, ...bytes } } });
  }

  summary(cursor: string): void {
    const value = { sessionId: "s1", slot: 5n, groups: 1, proved: 1, durationMs: 1200 };
    this.send({ cursor, event: { case: "summary", value } });
  }

  stop(): void {
    this.server.forceShutdown();
  }
}
