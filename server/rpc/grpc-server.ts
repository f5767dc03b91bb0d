/** The data plane: grpc-js on TCP and Unix sockets, with health and reflection. */
import { chmodSync, existsSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { Server, ServerCredentials, ServerInterceptingCall } from "@grpc/grpc-js";
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerInterceptor,
} from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { grpcServiceDefinition } from "../../proto/grpc-js.js";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { CallContext, Handlers } from "./handlers.js";
import { widenReceiveWindow } from "./receive-window.js";
import { addReflection } from "./reflection.js";
import { statusOf } from "./status.js";

/** Where the receipt of the headers is noted for the handler, which runs after the last byte. */
const receipts = new WeakMap<Metadata, number>();

export class GrpcServer {
  private readonly server: Server;
  private readonly health = new HealthImplementation({
    "": "NOT_SERVING",
    [AggregatorService.typeName]: "NOT_SERVING",
  });
  private readonly draining = new AbortController();

  constructor(
    private readonly handlers: Handlers,
    private readonly modules: { clock: Clock; log: Logger },
  ) {
    this.server = new Server({
      "grpc.max_receive_message_length": limits.snapshotBytesMax,
      "grpc.max_send_message_length": limits.snapshotBytesMax,
      "grpc.max_concurrent_streams": 64,
      "grpc.keepalive_time_ms": 10_000,
      "grpc.keepalive_timeout_ms": 5000,
      interceptors: [stampReceipt(modules.clock)],
    });
    this.server.addService(grpcServiceDefinition(AggregatorService), {
      submitSnapshot: this.unary((request, context) => handlers.submitSnapshot(request, context)),
      getSession: this.unary((request, context) => handlers.getSession(request, context)),
      cancelSession: this.unary((request) => handlers.cancelSession(request)),
      verifyAggregate: this.unary((request) => handlers.verifyAggregate(request)),
      getServerInfo: this.unary(() => handlers.getServerInfo()),
      streamResults: this.stream(),
    });
    this.health.addToServer(this.server);
    addReflection(this.server);
  }

  /** Binds an address (`host:port` or `unix:/path`); returns the address with its real port. */
  async listen(address: string): Promise<string> {
    if (address.startsWith("unix:")) await removeStaleSocket(address.slice("unix:".length));
    const port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    widenReceiveWindow(this.server);
    if (!address.startsWith("unix:")) return address.replace(/:\d+$/, `:${port}`);
    chmodSync(address.slice("unix:".length), 0o660);
    return address;
  }

  setServing(isServing: boolean): void {
    const status = isServing ? "SERVING" : "NOT_SERVING";
    this.health.setStatus("", status);
    this.health.setStatus(AggregatorService.typeName, status);
  }

  /** Ends streams, lets calls finish for the bound, then cuts what is left. */
  async close(boundMs: number): Promise<void> {
    this.draining.abort();
    await new Promise<void>((resolve) => {
      const cancel = this.modules.clock.at(this.modules.clock.nowMs() + boundMs, () => {
        this.server.forceShutdown();
        resolve();
      });
      this.server.tryShutdown(() => {
        cancel();
        resolve();
      });
    });
  }

  private unary<Request, Response>(
    handle: (request: Request, context: CallContext) => Response | Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const abort = new AbortController();
      call.on("cancelled", () => abort.abort());
      const run = async () => handle(call.request, this.context(call, abort.signal));
      run().then(
        (response) => callback(null, response),
        (error: unknown) => callback(this.refusal(error)),
      );
    };
  }

  private stream(): handleServerStreamingCall<Parameters<Handlers["streamResults"]>[0], unknown> {
    return (call) => {
      const abort = new AbortController();
      let written = () => {};
      const stop = () => {
        abort.abort();
        written();
      };
      call.on("cancelled", stop);
      this.draining.signal.addEventListener("abort", stop);
      const run = async () => {
        for await (const event of this.handlers.streamResults(
          call.request,
          this.context(call, abort.signal),
        )) {
          if (abort.signal.aborted && call.cancelled) return;
          // One event in flight: the next is read once this one is on its way.
          await new Promise<void>((resolve) => {
            written = resolve;
            call.write(event, () => resolve());
          });
        }
        call.end();
      };
      run()
        .catch((error: unknown) => call.emit("error", this.refusal(error)))
        .finally(() => this.draining.signal.removeEventListener("abort", stop));
    };
  }

  private context(
    call: { metadata: Metadata; getDeadline(): Date | number },
    signal: AbortSignal,
  ): CallContext {
    const { clock } = this.modules;
    const receivedAtMs = receipts.get(call.metadata) ?? clock.nowMs();
    const leftMs = Number(call.getDeadline()) - clock.unixMs() + clock.nowMs() - receivedAtMs;
    return { receivedAtMs, callDeadlineMs: Number.isFinite(leftMs) ? leftMs : undefined, signal };
  }

  private refusal(error: unknown) {
    const { code, message, isExpected } = statusOf(error);
    if (!isExpected) this.modules.log.error({ err: error }, "call failed");
    return { code, details: message };
  }
}

function stampReceipt(clock: Clock): ServerInterceptor {
  return (_descriptor, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, forward) => {
            receipts.set(metadata, clock.nowMs());
            forward(metadata);
          },
        }),
    });
}

/** A socket file that nobody answers on is left over from a dead service. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const isAnswered = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
  if (isAnswered) throw new Error(`another service answers on ${path}`);
  unlinkSync(path);
}
