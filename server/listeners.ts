/**
 * The service's listeners: one for all addresses where nodes call, the operator's, and one for
 * probes. This file decides what each of them serves, and how many connections it may have.
 */
import { file_lean_aggregator_admin_v1_admin } from "../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { file_lean_aggregator_v1_aggregator } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "./access/access.js";
import type { Clock } from "./clock.js";
import type { Config } from "./config/config.js";
import { limits } from "./limits.js";
import type { Logger } from "./log/log.js";
import { MemoryBudget } from "./memory-budget.js";
import type { Metrics } from "./metrics/metrics.js";
import type { TransportMetrics } from "./net/metrics.js";
import type { TlsSource } from "./net/tls-source.js";
import type { Calls } from "./rpc/handlers.js";
import { addAggregatorRoutes } from "./rpc/handlers.js";
import type { AdminHandlers } from "./rpc/operator-handlers.js";
import { addOperatorRoutes } from "./rpc/operator-handlers.js";
import { LivePage } from "./rpc/pages/live-page.js";
import { Pages, ProbeServer } from "./rpc/pages/pages.js";
import { RpcServer } from "./rpc/server.js";

/** Only the service's own user may be the operator: a node must not end another node's sessions. */
const OPERATOR_SOCKET_MODE = 0o600;
/** Time for open calls and streams to end when the listeners close. */
const CLOSE_MS = 500;

/** Where the service listens, with the port that the system chose for port 0. */
export interface Addresses {
  /** Where nodes call. */
  addresses: string[];
  /** Undefined when the operator's listener is off. */
  operatorAddress: string | undefined;
  /** Undefined when the listener for probes is off. */
  probesAddress: string | undefined;
}

export interface ListenersModules {
  calls: Calls;
  operatorCalls: AdminHandlers;
  clock: Clock;
  log: Logger;
  /** The budget for what nodes make the service hold; the operator's calls have another. */
  memory: MemoryBudget;
  access: Access;
  metrics: Metrics;
  transport: TransportMetrics;
  /** TLS of the TCP addresses where nodes call; undefined: they are plain text. */
  tls: TlsSource | undefined;
  /** Most connections of nodes, over all their addresses. */
  nodeConnectionsMax: number;
  /** Why the service is not ready, as a short text; undefined when it is ready. */
  notReady(): string | undefined;
}

export class Listeners {
  private readonly nodes: RpcServer;
  private readonly operator: RpcServer | undefined;
  private readonly probes: ProbeServer | undefined;

  constructor(
    private readonly config: Config,
    private readonly modules: ListenersModules,
  ) {
    const pages = new Pages(modules);
    const { allowedHosts } = config;
    modules.metrics.ready.readBy(() => (modules.notReady() === undefined ? 1 : 0));
    const socket = { mode: config.socketMode, group: config.socketGroup };
    this.nodes = new RpcServer(
      {
        name: "nodes",
        connectionsMax: modules.nodeConnectionsMax,
        socket,
        tls: modules.tls,
        allowedHosts,
        files: [file_lean_aggregator_v1_aggregator],
        addRoutes: (routes) => addAggregatorRoutes(routes, modules.calls),
      },
      { ...modules, pages },
    );
    this.operator = config.admin === "off" ? undefined : operatorServer(allowedHosts, modules);
    this.probes =
      config.probes === "off"
        ? undefined
        : new ProbeServer({ socket, allowedHosts }, { ...modules, pages });
  }

  /** Binds the addresses of all listeners. Rejects when one of them cannot be bound. */
  async listen(): Promise<Addresses> {
    const { listen, admin, probes } = this.config;
    const addresses: string[] = [];
    for (const address of listen) addresses.push(await this.nodes.listen(address));
    const operatorAddress = await this.operator?.listen(admin);
    const probesAddress = await this.probes?.listen(probes);
    return { addresses, operatorAddress, probesAddress };
  }

  /** Sets the health that the nodes' listener reports: SERVING while the service is ready. */
  updateHealth(): void {
    this.nodes.setServing(this.modules.notReady() === undefined);
  }

  /** Lets calls finish and streams deliver for at most `CLOSE_MS`, then cuts the rest. */
  async close(): Promise<void> {
    const all = [this.nodes, this.operator, this.probes];
    await Promise.all(all.map((server) => server?.close(CLOSE_MS)));
  }
}

function operatorServer(
  allowedHosts: readonly string[],
  { operatorCalls, ...modules }: ListenersModules,
): RpcServer {
  // Not the nodes' budget: the operator must be able to call when that one is full. This one has
  // room for the smallest reservation of every call that the listener can have open.
  const callsMax = limits.adminConnectionsMax * limits.callsPerConnectionMax;
  const memory = new MemoryBudget(callsMax * limits.requestBytesMax);
  const { clock, log, access, transport, metrics } = modules;
  const server = new RpcServer(
    {
      name: "operator",
      connectionsMax: limits.adminConnectionsMax,
      socket: { mode: OPERATOR_SOCKET_MODE },
      // Needs no TLS: the address is a loopback address or a Unix socket.
      tls: undefined,
      allowedHosts,
      files: [file_lean_aggregator_admin_v1_admin],
      addRoutes: (routes) => addOperatorRoutes(routes, operatorCalls),
    },
    { clock, log, access, transport, memory, metrics, livePage: new LivePage({ clock }) },
  );
  // Always SERVING: only the nodes' listener reports whether nodes are served.
  server.setServing(true);
  return server;
}
