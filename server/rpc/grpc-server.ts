/** The data plane: grpc-js on TCP and Unix sockets, with health and reflection. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { Server } from "@grpc/grpc-js";
import type { handleServerStreamingCall, handleUnaryCall, ServiceDefinition } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import {
  AggregatorService,
  file_lean_aggregator_v1_aggregator,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { grpcServiceDefinition } from "../../proto/grpc-js.js";
import type { Access } from "../access/access.js";
import { invalid } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { MemoryBudget } from "../memory-budget.js";
import { checkMessageCount } from "./count-messages.js";
import { admitCalls } from "./grpc-admission.js";
import type { ReceivedRequest } from "./grpc-admission.js";
import { GrpcListener } from "./grpc-listener.js";
import type { CallContext, Calls } from "./handlers.js";
import type { ListenerSecurity, ListenerModules } from "../net/listener.js";
import { addReflection } from "./reflection.js";
import { statusOf } from "./status.js";

export interface GrpcServerModules extends ListenerModules {
  log: Logger;
  memory: MemoryBudget;
  access: Access;
}

export class GrpcServer {
  private readonly server: Server;
  private readonly listener: GrpcListener;
  private readonly health = new HealthImplementation({
    "": "NOT_SERVING",
    [AggregatorService.typeName]: "NOT_SERVING",
  });
  private readonly draining = new AbortController();

  constructor(
    private readonly handlers: Calls,
    security: ListenerSecurity,
    private readonly modules: GrpcServerModules,
  ) {
    this.server = new Server({
      "grpc.max_receive_message_length": limits.snapshotBytesMax,
      "grpc.max_send_message_length": limits.snapshotBytesMax,
    });
    this.listener = new GrpcListener(
      this.server,
      { ...security, name: "grpc", connectionsMax: limits.connectionsMax, protocols: ["h2"] },
      modules,
    );
    const { method } = AggregatorService;
    this.server.addService(encodedRequests(grpcServiceDefinition(AggregatorService)), {
      submitSnapshot: this.unary(method.submitSnapshot.input, (request, context) =>
        handlers.submitSnapshot(request, context),
      ),
      getSession: this.unary(method.getSession.input, (request, context) =>
        handlers.getSession(request, context),
      ),
      cancelSession: this.unary(method.cancelSession.input, (request, context) =>
        handlers.cancelSession(request, context),
      ),
      verifyAggregate: this.unary(method.verifyAggregate.input, (request, context) =>
        handlers.verifyAggregate(request, context),
      ),
      getServerInfo: this.unary(method.getServerInfo.input, () => handlers.getServerInfo()),
      streamResults: this.stream(),
    });
    this.health.addToServer(this.server);
    addReflection(this.server, [file_lean_aggregator_v1_aggregator]);
  }

  /** Binds an address (`host:port` or `unix:/path`); returns the address with its real port. */
  listen(address: string): Promise<string> {
    return this.listener.listen(address, (peer) => admitCalls(peer, this.modules));
  }

  setServing(isServing: boolean): void {
    const status = isServing ? "SERVING" : "NOT_SERVING";
    this.health.setStatus("", status);
    this.health.setStatus(AggregatorService.typeName, status);
  }

  /** Lets streams deliver what is logged and calls finish within the bound, then cuts the rest. */
  async close(boundMs: number): Promise<void> {
    this.draining.abort();
    await this.listener.close(boundMs);
  }

  private unary<Request extends DescMessage, Response>(
    schema: Request,
    handle: (request: MessageShape<Request>, context: CallContext) => Response | Promise<Response>,
  ): handleUnaryCall<ReceivedRequest, Response> {
    return (call, callback) => {
      const gone = new AbortController();
      call.on("cancelled", () => gone.abort());
      const run = async () =>
        handle(decode(schema, call.request), this.context(call.request, gone.signal));
      run().then(
        (response) => callback(null, response),
        (error: unknown) => callback(this.refusal(error)),
      );
    };
  }

  private stream(): handleServerStreamingCall<ReceivedRequest, unknown> {
    return (call) => {
      const gone = new AbortController();
      let written = () => {};
      call.on("cancelled", () => {
        gone.abort();
        written();
      });
      const run = async () => {
        const request = decode(AggregatorService.method.streamResults.input, call.request);
        const context = this.context(call.request, gone.signal);
        for await (const event of this.handlers.streamResults(request, context)) {
          if (gone.signal.aborted) return;
          // One event in flight: the next is read once this one is on its way.
          await new Promise<void>((resolve) => {
            written = resolve;
            call.write(event, () => resolve());
          });
        }
        call.end();
      };
      run().catch((error: unknown) => call.emit("error", this.refusal(error)));
    };
  }

  private context(request: ReceivedRequest, signal: AbortSignal): CallContext {
    const { receivedAtMs, callDeadlineMs, peer, credential, holdAnswer } = request;
    const { signal: draining } = this.draining;
    return { receivedAtMs, callDeadlineMs, peer, credential, holdAnswer, signal, draining };
  }

  private refusal(error: unknown) {
    const { code, message, isExpected } = statusOf(error);
    if (!isExpected) this.modules.log.error({ err: error }, "call failed");
    return { code, details: message };
  }
}

/** The service's methods with requests left encoded: `admitCalls` counts them, handlers decode. */
function encodedRequests(definition: ServiceDefinition): ServiceDefinition {
  const methods = Object.entries(definition).map(([name, method]) => [
    name,
    { ...method, requestDeserialize: (bytes: Buffer) => bytes },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}

function decode<Schema extends DescMessage>(
  schema: Schema,
  { bytes }: ReceivedRequest,
): MessageShape<Schema> {
  checkMessageCount(schema, bytes);
  try {
    // Of a Buffer, bytes fields would be Buffers too, whose `slice` does not copy: what is kept of a
    // request would hold all of it.
    return fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  } catch {
    throw invalid("", `the message is not a ${schema.typeName}`);
  }
}
