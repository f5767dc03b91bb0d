/**
 * HTTP/1.1 and HTTP/2 without TLS on one port, so that Connect, gRPC-Web and gRPC all find what
 * they speak: a connection's first bytes tell which it is. Owns every connection of the port.
 */
import { createServer as createHttp1Server } from "node:http";
import { constants, createServer as createHttp2Server } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { EdgeRequest, EdgeResponse } from "./connect-adapter.js";
import { peerAt } from "./peer.js";
import type { Peer } from "./peer.js";

/** How an HTTP/2 connection begins, and no HTTP/1.1 request does. */
const HTTP2_START = "PRI";
/** How often Node looks for HTTP/1.1 requests over their time. */
const CHECK_EVERY_MS = 1000;

export class HttpListener {
  private readonly http1;
  private readonly http2;
  private readonly connections = new Set<Socket>();
  private readonly undecided = new Set<Socket>();
  private readonly sessions = new Set<ServerHttp2Session>();
  private peer: Peer | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    handle: (request: EdgeRequest, response: EdgeResponse, peer: Peer) => void,
    private readonly clock: Clock,
  ) {
    const handleAndDiscard = (request: EdgeRequest, response: EdgeResponse) => {
      discardRest(request, response);
      handle(request, response, this.peer ?? peerAt("", false));
    };
    this.http2 = createHttp2Server(
      { settings: { maxConcurrentStreams: limits.callsPerConnectionMax } },
      handleAndDiscard,
    );
    this.http2.on("session", (session) => this.keep(session));
    this.http1 = createHttp1Server(
      {
        headersTimeout: limits.headersReadMsMax,
        requestTimeout: limits.requestReadMsMax,
        keepAliveTimeout: limits.keepAliveMs,
        connectionsCheckingInterval: CHECK_EVERY_MS,
        noDelay: true,
      },
      (request, response) => {
        handleAndDiscard(request, response);
        response.once("close", () => {
          if (this.closing !== undefined) this.http1.closeIdleConnections();
        });
      },
    );
    this.http1.maxConnections = limits.httpConnectionsMax;
    // The port is the HTTP/1.1 server's, for it enforces its timeouts only where it listens; its
    // own connection handler gets what is not HTTP/2.
    const [serveHttp1] = this.http1.listeners("connection") as ((socket: Socket) => void)[];
    if (serveHttp1 === undefined) throw new Error("node:http has no connection handler");
    this.http1.removeAllListeners("connection");
    this.http1.on("connection", (socket: Socket) => {
      this.connections.add(socket);
      socket.once("close", () => this.connections.delete(socket));
      this.decide(socket, () => serveHttp1.call(this.http1, socket));
    });
  }

  /** Listens on `host:port`; returns the address with its real port. */
  async listen(address: string): Promise<string> {
    this.peer = peerAt(address, false);
    const at = address.lastIndexOf(":");
    const host = address.slice(0, at);
    await new Promise<void>((resolve, reject) => {
      this.http1.once("error", reject);
      this.http1.listen(Number(address.slice(at + 1)), host.replace(/^\[|\]$/g, ""), resolve);
    });
    return `${host}:${(this.http1.address() as AddressInfo).port}`;
  }

  /** Takes no more calls, lets those there finish within the bound, then cuts. Idempotent. */
  close(boundMs: number): Promise<void> {
    return (this.closing ??= this.closeAll(boundMs));
  }

  private async closeAll(boundMs: number): Promise<void> {
    if (!this.http1.listening) return;
    const cancel = this.clock.at(this.clock.nowMs() + boundMs, () => {
      for (const socket of this.connections) socket.destroy();
    });
    await new Promise<void>((resolve) => {
      this.http1.close(() => resolve());
      this.http1.closeIdleConnections();
      for (const socket of this.undecided) socket.destroy();
      for (const session of this.sessions) session.close();
    });
    cancel();
  }

  /** Waits for the first bytes, for a bounded time, and hands the connection on with them. */
  private decide(socket: Socket, serveHttp1: () => void): void {
    const drop = () => socket.destroy();
    const cancelTimer = this.clock.at(this.clock.nowMs() + limits.headersReadMsMax, drop);
    const settle = () => {
      this.undecided.delete(socket);
      cancelTimer();
    };
    const read = () => {
      const start = socket.read(HTTP2_START.length) as Buffer | null;
      if (start === null) return;
      settle();
      socket.off("readable", read).off("end", drop).off("error", drop).off("close", settle);
      socket.unshift(start);
      if (start.toString("latin1") !== HTTP2_START) serveHttp1();
      else {
        // Half-open connections are HTTP/1.1's: an HTTP/2 client that ends its side is gone.
        socket.allowHalfOpen = false;
        this.http2.emit("connection", socket);
      }
    };
    this.undecided.add(socket);
    socket.on("readable", read).on("end", drop).on("error", drop).on("close", settle);
  }

  /** Holds a session, and cuts it when its peer no longer answers. */
  private keep(session: ServerHttp2Session): void {
    this.sessions.add(session);
    let isAnswered = true;
    let cancel = () => {};
    const beat = () => {
      if (!isAnswered) session.destroy();
      if (session.destroyed) return;
      isAnswered = false;
      session.ping(() => (isAnswered = true));
      cancel = this.clock.at(this.clock.nowMs() + limits.pingEveryMs, beat);
    };
    cancel = this.clock.at(this.clock.nowMs() + limits.pingEveryMs, beat);
    session.once("close", () => {
      this.sessions.delete(session);
      cancel();
    });
  }
}

/**
 * Once answered, what a caller still sends is of no use, and its call is over. HTTP/2 is told to
 * stop, after the trailers; HTTP/1.1 is read away within the request's time, since closing could
 * overtake the answer.
 */
function discardRest(request: EdgeRequest, response: EdgeResponse): void {
  if ("stream" in request) {
    const { stream } = request;
    // Closing at once would drop the trailers, which are on their way only now.
    stream.once("wantTrailers", () => {
      setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
  } else response.once("finish", () => request.resume());
}
