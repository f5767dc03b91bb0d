/**
 * Accepts connections at a server's addresses, counts them, and passes them on, over TLS once the
 * handshake is done. When the listener is full, the least valuable idle connection is closed.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Clock } from "../clock.js";
import type { Logger } from "../log.js";
import { Connection } from "./connection.js";
import { bindAddressOf } from "./address.js";
import type { ListenerName, TransportMetrics } from "./metrics.js";
import { tlsListener } from "./tls-listener.js";
import type { TlsSource } from "./tls-source.js";
import { Penalties } from "./penalties.js";
import { peerAt } from "./peer.js";
import type { Peer } from "./peer.js";
import { removeStaleSocket, setAccess, underClosedMask } from "./unix-socket.js";
import type { SocketAccess } from "./unix-socket.js";

/** At most one line about handshakes in so long. */
const LOG_EVERY_MS = 1000;

/** Access to Unix sockets, and TLS. */
export interface ListenerSecurity {
  /** Owner and mode of Unix sockets. */
  socket: SocketAccess;
  /** For TCP addresses; Unix sockets are plain text. Undefined: TCP is plain text too. */
  tls: TlsSource | undefined;
}

export interface ListenerOptions extends ListenerSecurity {
  name: ListenerName;
  /** Limit of open connections, over all addresses of the listener. */
  connectionsMax: number;
  /** ALPN names of the protocols over TLS, in order of preference. */
  protocols: readonly string[];
}

export interface ListenerModules {
  clock: Clock;
  log: Logger;
  transport: TransportMetrics;
}

/** @param socket the connection's socket; over TLS, the TLS socket on it */
export type Serve = (socket: Socket, connection: Connection) => void;

export class Listener {
  private readonly servers = new Set<Server>();
  private readonly connections = new Set<Connection>();
  private readonly penalties = new Penalties();
  private quietUntilMs = -Infinity;

  constructor(
    private readonly options: ListenerOptions,
    private readonly modules: ListenerModules,
  ) {}

  /** The peer of every connection to an address, without its certificate. */
  peerAt(address: string): Peer {
    const isEncrypted = !address.startsWith("unix:") && this.options.tls !== undefined;
    return peerAt(address, isEncrypted);
  }

  /**
   * Binds an address (`host:port` or `unix:/path`); returns the address with its real port.
   * `serve` owns the sockets that it gets, except that the listener ends them when it closes or is
   * full; it reports every call to the connection.
   */
  async listen(address: string, serve: Serve): Promise<string> {
    const bind = bindAddressOf(address);
    if ("path" in bind) await removeStaleSocket(bind.path);
    const welcome = this.welcome(address, serve);
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const connection = this.enter(socket);
      if (connection !== undefined) this.whenDue(connection, () => welcome(connection));
    });
    const listening = once(server, "listening");
    if ("path" in bind) underClosedMask(() => server.listen(bind));
    else server.listen(bind);
    await listening;
    this.servers.add(server);
    if ("path" in bind) {
      setAccess(bind.path, this.options.socket);
      return address;
    }
    return address.replace(/:\d+$/, `:${(server.address() as AddressInfo).port}`);
  }

  /** Accepts no more; resolves when all connections are closed. Those left at the bound are cut. */
  async close(boundMs: number): Promise<void> {
    const { clock } = this.modules;
    const cancel = clock.at(clock.nowMs() + boundMs, () => {
      for (const { socket } of this.connections) socket.destroy();
    });
    const closed = [...this.servers].map(
      (server) => new Promise<void>((resolve) => server.close(() => resolve())),
    );
    await Promise.all(closed);
    cancel();
  }

  /** Acts at once, unless the connection's address has a penalty. */
  private whenDue({ socket }: Connection, act: () => void): void {
    const { clock } = this.modules;
    const nowMs = clock.nowMs();
    const dueAtMs = this.penalties.turnAtMs(socket.remoteAddress ?? "", nowMs);
    if (dueAtMs <= nowMs) return act();
    const cancel = clock.at(dueAtMs, act);
    socket.once("close", cancel);
  }

  private welcome(address: string, serve: Serve): (connection: Connection) => void {
    const { name, tls, protocols } = this.options;
    if (tls === undefined || !this.peerAt(address).isEncrypted) {
      return (connection) => serve(connection.socket, connection);
    }
    const refused = (reason: string) => {
      this.modules.transport.cuts.inc({ listener: name, cause: "handshake" });
      this.logHandshake({ listener: address, reason });
    };
    const secured = (socket: Socket) => {
      // Node does not expose the socket below, but both have the same two ends.
      const connection = [...this.connections].find((each) => haveSameEnds(each.socket, socket));
      if (connection === undefined) socket.destroy();
      else serve(socket, connection);
    };
    const shake = tlsListener(tls, { protocols, serve: secured, refused });
    return ({ socket }) => shake(socket);
  }

  /** Logs only some: otherwise any client could fill the disk. */
  private logHandshake(line: { listener: string; reason: string }): void {
    const { clock, log } = this.modules;
    if (clock.nowMs() < this.quietUntilMs) return;
    this.quietUntilMs = clock.nowMs() + LOG_EVERY_MS;
    log.warn(line, "TLS handshake failed");
  }

  /** Undefined when the listener is full and every connection is busy. */
  private enter(socket: Socket): Connection | undefined {
    const { name, connectionsMax } = this.options;
    const { connections, cuts } = this.modules.transport;
    if (this.connections.size >= connectionsMax && !this.makeRoom()) {
      cuts.inc({ listener: name, cause: "limit" });
      socket.destroy();
      return undefined;
    }
    const { clock } = this.modules;
    const { remoteAddress } = socket;
    const connection = new Connection(socket, clock, () => {
      if (remoteAddress !== undefined) this.penalties.blame(remoteAddress, clock.nowMs());
    });
    this.connections.add(connection);
    connections.inc({ listener: name });
    socket.once("close", () => {
      this.connections.delete(connection);
      connections.dec({ listener: name });
    });
    return connection;
  }

  /** Closes the least valuable idle connection; returns false when all are busy. */
  private makeRoom(): boolean {
    let least: Connection | undefined;
    for (const each of this.connections) {
      if (!each.isBusy && (least === undefined || each.isWorthLessThan(least))) least = each;
    }
    if (least === undefined) return false;
    this.modules.transport.cuts.inc({ listener: this.options.name, cause: "displaced" });
    // 'close' comes in a later turn, and more connections may come in this one.
    this.connections.delete(least);
    least.socket.destroy();
    return true;
  }
}

/** False when the connection is broken: it has no ends any more. */
function haveSameEnds(one: Socket, other: Socket): boolean {
  return (
    one.remotePort !== undefined &&
    one.remotePort === other.remotePort &&
    one.remoteAddress === other.remoteAddress &&
    one.localPort === other.localPort &&
    one.localAddress === other.localAddress
  );
}
