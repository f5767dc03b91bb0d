/**
 * Accepts connections at a server's addresses, counts them and passes them to the server; with TLS,
 * after the handshake. A full listener closes its least valuable idle connection for a new one.
 */
import { createServer } from "node:net";
import type { Server, Socket } from "node:net";
import type { Clock } from "../clock.js";
import type { Logger } from "../log/log.js";
import { Connection } from "./connection.js";
import { bind } from "./bind.js";
import type { ListenerName, TransportMetrics } from "./metrics.js";
import { tlsListener } from "./tls-listener.js";
import type { TlsSource } from "./tls-source.js";
import { Penalties } from "./penalties.js";
import { peerAt } from "./peer.js";
import type { Peer } from "./peer.js";
import type { SocketAccess } from "./unix-socket.js";

/** Least time between two log lines of one kind. */
const LOG_EVERY_MS = 1000;

/** Who may open the Unix sockets, the TLS of the TCP addresses, and the names of the latter. */
export interface ListenerSecurity {
  /** Permission bits and group of the Unix sockets. */
  socket: SocketAccess;
  /** TLS of the TCP addresses; undefined: they are plain text. Unix sockets always are. */
  tls: TlsSource | undefined;
  /** Names, besides loopback ones, by which callers may reach loopback addresses. Default: none. */
  allowedHosts?: readonly string[];
}

export interface ListenerOptions extends ListenerSecurity {
  name: ListenerName;
  /** Most open connections, over all addresses of the listener. */
  connectionsMax: number;
  /**
   * Whether a full listener closes the connection that is busy longest when all are busy. For calls
   * that take milliseconds: a caller that does not read its answer then keeps nobody else out.
   * Default: false, the new connection is refused.
   */
  displacesBusy?: boolean;
  /** Protocols to agree on over TLS, by their ALPN names, in order of preference. */
  protocols: readonly string[];
}

export interface ListenerModules {
  clock: Clock;
  log: Logger;
  transport: TransportMetrics;
}

/** @param socket the accepted socket; with TLS, the TLS socket that wraps it */
export type Serve = (socket: Socket, connection: Connection) => void;

export class Listener {
  private readonly servers = new Set<Server>();
  private readonly connections = new Set<Connection>();
  private readonly penalties = new Penalties();
  /** For each kind of line, the instant before which it is not logged again. */
  private readonly quietUntilMs = new Map<string, number>();

  constructor(
    private readonly options: ListenerOptions,
    private readonly modules: ListenerModules,
  ) {}

  /** What is known of every client that connects to `address`, before any certificate. */
  peerAt(address: string): Peer {
    const isEncrypted = !address.startsWith("unix:") && this.options.tls !== undefined;
    return peerAt(address, isEncrypted);
  }

  /**
   * Binds an address (`host:port` or `unix:/path`); returns it with the port that the system chose
   * for port 0. A name, such as `localhost`, is bound at each of its IP addresses. Rejects with
   * `ListenError` when the address cannot be bound. `serve` owns the sockets that it gets and
   * reports every call to the connection; the listener may still destroy a socket, as in `close`.
   */
  async listen(address: string, serve: Serve): Promise<string> {
    const welcome = this.welcome(address, serve);
    const make = () =>
      createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        const connection = this.enter(socket);
        if (connection !== undefined) this.whenDue(connection, () => welcome(connection));
      });
    const { servers, port } = await bind(address, make, this.options.socket);
    for (const server of servers) {
      server.on("error", (error) => this.acceptFailed(address, error));
      this.servers.add(server);
    }
    return port === undefined ? address : address.replace(/:\d+$/, `:${port}`);
  }

  /** Accepts no more; resolves when all connections are closed. Cuts them after `boundMs`. */
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

  /** Calls `act` at once, or in its turn when the client's address has a penalty. */
  private whenDue({ socket }: Connection, act: () => void): void {
    const { clock } = this.modules;
    const nowMs = clock.nowMs();
    const dueAtMs = this.penalties.turnAtMs(socket.remoteAddress ?? "", nowMs);
    if (dueAtMs <= nowMs) return act();
    const cancel = clock.at(dueAtMs, act);
    socket.once("close", cancel);
  }

  /** The function that starts TLS where the address has it, and then calls `serve`. */
  private welcome(address: string, serve: Serve): (connection: Connection) => void {
    const { name, tls, protocols } = this.options;
    if (tls === undefined || !this.peerAt(address).isEncrypted) {
      return (connection) => serve(connection.socket, connection);
    }
    const refused = (reason: string) => {
      this.modules.transport.cuts.inc({ listener: name, cause: "handshake" });
      this.warn("TLS handshake failed", { listener: address, reason });
    };
    const secured = (socket: Socket) => {
      // Node does not expose the socket that a TLS socket wraps; both have the same two addresses.
      const connection = [...this.connections].find((each) => haveSameEnds(each.socket, socket));
      if (connection === undefined) socket.destroy();
      else serve(socket, connection);
    };
    const shake = tlsListener(tls, { protocols, serve: secured, refused });
    return ({ socket }) => shake(socket);
  }

  /** The system could not accept a connection, for example without a descriptor: go on. */
  private acceptFailed(address: string, error: Error): void {
    this.modules.transport.cuts.inc({ listener: this.options.name, cause: "accept" });
    this.warn("cannot accept a connection", { listener: address, reason: error.message });
  }

  /** Logs at most one line of a kind in `LOG_EVERY_MS`: any client could fill the disk otherwise. */
  private warn(kind: string, line: { listener: string; reason: string }): void {
    const { clock, log } = this.modules;
    if (clock.nowMs() < (this.quietUntilMs.get(kind) ?? -Infinity)) return;
    this.quietUntilMs.set(kind, clock.nowMs() + LOG_EVERY_MS);
    log.warn(line, kind);
  }

  /** Counts the connection. Refuses it (undefined) when the listener is full and all are busy. */
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
    // A client may reset the connection while it waits for its turn: an 'error' without a listener would end
    // the service. 'close' follows it.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.connections.delete(connection);
      connections.dec({ listener: name });
    });
    return connection;
  }

  /** Closes the least valuable connection; returns false when all are busy and have to stay. */
  private makeRoom(): boolean {
    const { displacesBusy = false } = this.options;
    let least: Connection | undefined;
    for (const each of this.connections) {
      if (each.isBusy && !displacesBusy) continue;
      if (least === undefined || each.isWorthLessThan(least)) least = each;
    }
    if (least === undefined) return false;
    this.modules.transport.cuts.inc({ listener: this.options.name, cause: "displaced" });
    // Removed here: its 'close' is in a later turn, and another connection may need room before.
    this.connections.delete(least);
    least.socket.destroy();
    return true;
  }
}

/** Whether both sockets have the same two addresses and ports; false for a closed socket. */
function haveSameEnds(one: Socket, other: Socket): boolean {
  return (
    one.remotePort !== undefined &&
    one.remotePort === other.remotePort &&
    one.remoteAddress === other.remoteAddress &&
    one.localPort === other.localPort &&
    one.localAddress === other.localAddress
  );
}
