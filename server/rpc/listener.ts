/**
 * Accepts connections for an RPC stack at one address, and hands them over once they may speak:
 * counted, and over TLS with their handshake done. Both stacks and the operator's listener have
 * theirs here, so that none of them needs limits, TLS and socket files of its own.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Clock } from "../clock.js";
import { bindAddressOf } from "./listen-address.js";
import type { ListenerName, TransportMetrics } from "./transport-metrics.js";
import { removeStaleSocket, setAccess } from "./unix-socket.js";
import type { SocketAccess } from "./unix-socket.js";

export interface ListenerOptions {
  name: ListenerName;
  /** Connections that this listener takes, those of its other addresses included. */
  connectionsMax: number;
  socketAccess: SocketAccess;
}

export interface ListenerModules {
  clock: Clock;
  transport: TransportMetrics;
}

export class Listener {
  private readonly servers = new Set<Server>();
  private readonly connections = new Set<Socket>();

  constructor(
    private readonly options: ListenerOptions,
    private readonly modules: ListenerModules,
  ) {}

  /**
   * Binds an address (`host:port` or `unix:/path`); returns the address with its real port.
   * `serve` owns the sockets it is given, but for their end when the listener closes.
   */
  async listen(address: string, serve: (socket: Socket) => void): Promise<string> {
    const bind = bindAddressOf(address);
    if ("path" in bind) await removeStaleSocket(bind.path);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      if (this.enter(socket)) serve(socket);
    });
    const listening = once(server, "listening");
    server.listen(bind);
    await listening;
    this.servers.add(server);
    if ("path" in bind) {
      setAccess(bind.path, this.options.socketAccess);
      return address;
    }
    return address.replace(/:\d+$/, `:${(server.address() as AddressInfo).port}`);
  }

  /** Accepts no more; resolves when the last connection is gone, cut at the bound if need be. */
  async close(boundMs: number): Promise<void> {
    const { clock } = this.modules;
    const cancel = clock.at(clock.nowMs() + boundMs, () => {
      for (const socket of this.connections) socket.destroy();
    });
    const closed = [...this.servers].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    await Promise.all(closed);
    cancel();
  }

  /** False when there is no room for one more. */
  private enter(socket: Socket): boolean {
    const { name, connectionsMax } = this.options;
    const { connections, cuts } = this.modules.transport;
    if (this.connections.size >= connectionsMax) {
      cuts.inc({ listener: name, cause: "limit" });
      socket.destroy();
      return false;
    }
    this.connections.add(socket);
    connections.inc({ listener: name });
    socket.once("close", () => {
      this.connections.delete(socket);
      connections.dec({ listener: name });
    });
    return true;
  }
}
