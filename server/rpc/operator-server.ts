/**
 * The operator's listener: AdminService on a grpc-js server of its own, with health and reflection.
 * Nodes have no business here, so it shares no address with the data plane or the HTTP edge.
 */
import type { handleUnaryCall } from "@grpc/grpc-js";
import { Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import {
  AdminService,
  file_lean_aggregator_admin_v1_admin,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { grpcServiceDefinition } from "../../proto/grpc-js.js";
import type { Access } from "../access/access.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { AdminHandlers, OperatorsCall } from "./operator-handlers.js";
import { admitOperator, PRINCIPAL_KEY } from "./grpc-admission.js";
import { GrpcListener } from "./grpc-listener.js";
import type { ListenerModules } from "../net/listener.js";
import { addReflection } from "./reflection.js";
import { statusOf } from "./status.js";

/** The service's own user only: a node that may submit must not end other nodes' sessions. */
const SOCKET_MODE = 0o600;

export interface AdminServerModules extends ListenerModules {
  log: Logger;
  access: Access;
}

export class AdminServer {
  private readonly server = new Server({
    "grpc.max_receive_message_length": limits.adminRequestBytesMax,
  });
  private readonly listener: GrpcListener;
  /** Of the calls that are being answered. */
  private readonly calls = new Set<AbortController>();

  constructor(
    handlers: AdminHandlers,
    private readonly modules: AdminServerModules,
  ) {
    this.listener = new GrpcListener(
      this.server,
      {
        name: "admin",
        connectionsMax: limits.adminConnectionsMax,
        protocols: ["h2"],
        socket: { mode: SOCKET_MODE },
        // On loopback only.
        tls: undefined,
      },
      modules,
    );
    this.server.addService(grpcServiceDefinition(AdminService), {
      listSessions: this.unary(() => handlers.listSessions()),
      listProvers: this.unary(() => handlers.listProvers()),
      drainDevice: this.unary((request, caller) => handlers.drainDevice(request, caller)),
      restartProver: this.unary((request, caller) => handlers.restartProver(request, caller)),
      endSession: this.unary((request, caller) => handlers.endSession(request, caller)),
    });
    // Of the listener: whether nodes are served is the data plane's health.
    const health = new HealthImplementation({ "": "SERVING", [AdminService.typeName]: "SERVING" });
    health.addToServer(this.server);
    addReflection(this.server, [file_lean_aggregator_admin_v1_admin]);
  }

  /** Binds an address (`host:port` or `unix:/path`); returns the address with its real port. */
  listen(address: string): Promise<string> {
    return this.listener.listen(address, (peer) => admitOperator(peer, this.modules.access));
  }

  /** Ends waits, lets calls finish for the bound, then cuts what is left. */
  async close(boundMs: number): Promise<void> {
    for (const call of this.calls) call.abort();
    await this.listener.close(boundMs);
  }

  private unary<Request, Response>(
    handle: (request: Request, caller: OperatorsCall) => Response | Promise<Response>,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const abort = new AbortController();
      this.calls.add(abort);
      call.on("cancelled", () => abort.abort());
      const principal = String(call.metadata.get(PRINCIPAL_KEY)[0] ?? "");
      const run = async () => handle(call.request, { principal, signal: abort.signal });
      run()
        .then(
          (response) => callback(null, response),
          (error: unknown) => callback(this.refusal(error)),
        )
        .finally(() => this.calls.delete(abort));
    };
  }

  private refusal(error: unknown) {
    const { code, message, isExpected } = statusOf(error);
    if (!isExpected) this.modules.log.error({ err: error }, "admin call failed");
    return { code, details: message };
  }
}
