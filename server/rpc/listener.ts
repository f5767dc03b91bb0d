/**
 * Accepts connections for an RPC stack at one address, and hands them over once they may speak:
 * counted, and over TLS with their handshake done. Both stacks and the operator's listener have
 * theirs here, so that none of them needs limits, TLS and socket files of its own.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Clock } from "../clock.js";
import type { Logger } from "../log.js";
import { bindAddressOf } from "./listen-address.js";
import type { ListenerName, TransportMetrics } from "./transport-metrics.js";
import { tlsListener } from "./tls-listener.js";
import type { TlsSource } from "./tls-source.js";
import { peerAt } from "./peer.js";
import type { Peer } from "./peer.js";
import { removeStaleSocket, setAccess } from "./unix-socket.js";
import type { SocketAccess } from "./unix-socket.js";

/** At most one line about handshakes in so long. */
const LOG_EVERY_MS = 1000;

/** Who may connect, and how. */
export interface ListenerSecurity {
  /** Of Unix sockets. */
  socket: SocketAccess;
  /** For TCP addresses; Unix sockets are plain. Undefined: these are plain too. */
  tls: TlsSource | undefined;
}

export interface ListenerOptions extends ListenerSecurity {
  name: ListenerName;
  /** Connections that this listener takes, those of its other addresses included. */
  connectionsMax: number;
  /** What is spoken over TLS, by ALPN names, best first. */
  protocols: readonly string[];
}

export interface ListenerModules {
  clock: Clock;
  log: Logger;
  transport: TransportMetrics;
}

export class Listener {
  private readonly servers = new Set<Server>();
  private readonly connections = new Set<Socket>();
  private quietUntilMs = -Infinity;

  constructor(
    private readonly options: ListenerOptions,
    private readonly modules: ListenerModules,
  ) {}

  /** What the connections to an address have in common. */
  peerAt(address: string): Peer {
    const isEncrypted = !address.startsWith("unix:") && this.options.tls !== undefined;
    return peerAt(address, isEncrypted);
  }

  /**
   * Binds an address (`host:port` or `unix:/path`); returns the address with its real port.
   * `serve` owns the sockets it is given, but for their end when the listener closes.
   */
  async listen(address: string, serve: (socket: Socket) => void): Promise<string> {
    const bind = bindAddressOf(address);
    if ("path" in bind) await removeStaleSocket(bind.path);
    const welcome = this.welcome(address, serve);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      if (this.enter(socket)) welcome(socket);
    });
    const listening = once(server, "listening");
    server.listen(bind);
    await listening;
    this.servers.add(server);
    if ("path" in bind) {
      setAccess(bind.path, this.options.socket);
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

  private welcome(address: string, serve: (socket: Socket) => void): (socket: Socket) => void {
    const { name, tls, protocols } = this.options;
    if (tls === undefined || !this.peerAt(address).isEncrypted) return serve;
    const refused = (reason: string) => {
      this.modules.transport.cuts.inc({ listener: name, cause: "handshake" });
      this.logHandshake({ listener: address, reason });
    };
    return tlsListener(tls, { protocols, serve, refused });
  }

  /** Not each of them: whoever can connect could fill the disk. */
  private logHandshake(line: { listener: string; reason: string }): void {
    const { clock, log } = this.modules;
    if (clock.nowMs() < this.quietUntilMs) return;
    this.quietUntilMs = clock.nowMs() + LOG_EVERY_MS;
    log.warn(line, "a TLS handshake has failed");
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
