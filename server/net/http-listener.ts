/**
 * HTTP/1.1 and HTTP/2 at one address, so that Connect, gRPC-Web and gRPC all find what they speak:
 * TLS has agreed on one of them, and without TLS a connection's first bytes tell which it is.
 */
import { createServer as createHttp1Server } from "node:http";
import { constants, createServer as createHttp2Server } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { limits } from "../limits.js";
import type { EdgeRequest, EdgeResponse } from "../rpc/call-admission.js";
import type { Connection } from "./connection.js";
import { Listener } from "./listener.js";
import type { ListenerModules, ListenerOptions } from "./listener.js";
import { withCertificate } from "./peer.js";
import type { Peer } from "./peer.js";
import { SessionRules } from "./http2-rules.js";

/** How an HTTP/2 connection begins, and no HTTP/1.1 request does. */
const HTTP2_START = "PRI";
/** How often Node looks for HTTP/1.1 requests over their time. */
const CHECK_EVERY_MS = 1000;

type Handle = (request: EdgeRequest, response: EdgeResponse, peer: Peer) => void;

export class HttpListener {
  private readonly listener: Listener;
  private readonly rules: SessionRules;
  private readonly undecided = new Set<Socket>();
  /** Of HTTP/1.1, by what its requests name. */
  private readonly connections = new WeakMap<Socket, Connection>();
  private http1: ReturnType<typeof createHttp1Server> | undefined;
  private closing: Promise<void> | undefined;

  constructor(
    private readonly handle: Handle,
    private readonly options: Omit<ListenerOptions, "protocols">,
    private readonly modules: ListenerModules,
  ) {
    this.listener = new Listener({ ...options, protocols: ["h2", "http/1.1"] }, modules);
    this.rules = new SessionRules(options.name, modules);
  }

  /** Binds an address (`host:port` or `unix:/path`); returns the address with its real port. */
  listen(address: string): Promise<string> {
    const peer = this.listener.peerAt(address);
    const http1 = this.createHttp1(peer);
    const http2 = createHttp2Server((request, response) => this.answer(request, response, peer));
    const connectHttp2 = this.rules.govern(http2, (socket) => http2.emit("connection", socket));
    this.http1 = http1;
    return this.listener.listen(address, (socket, connection) => {
      const serve = (protocol: "http1" | "http2") => {
        if (protocol === "http2") return connectHttp2(socket, connection);
        this.connections.set(socket, connection);
        http1.emit("connection", socket);
      };
      if (!peer.isEncrypted) this.decide(socket, serve);
      else serve(agreedOn(socket) === "h2" ? "http2" : "http1");
    });
  }

  /** Takes no more calls, lets those there finish within the bound, then cuts. Idempotent. */
  close(boundMs: number): Promise<void> {
    return (this.closing ??= this.closeAll(boundMs));
  }

  private async closeAll(boundMs: number): Promise<void> {
    const closed = this.listener.close(boundMs);
    this.http1?.close();
    for (const socket of this.undecided) socket.destroy();
    this.rules.close();
    await closed;
  }

  private createHttp1(peer: Peer) {
    const { clock } = this.modules;
    const server = createHttp1Server(
      {
        headersTimeout: limits.headersReadMsMax,
        requestTimeout: limits.requestReadMsMax,
        keepAliveTimeout: limits.keepAliveMs,
        maxHeaderSize: limits.headerBytesMax,
        connectionsCheckingInterval: CHECK_EVERY_MS,
      },
      (request, response) => {
        const connection = this.connections.get(request.socket);
        if (connection === undefined) throw new Error("a request came past the listener");
        connection.beginCall();
        if (clock.nowMs() > connection.startedMs + limits.connectionAgeMs) {
          response.shouldKeepAlive = false;
          this.modules.transport.cuts.inc({ listener: this.options.name, cause: "age" });
        }
        this.answer(request, response, peer);
        response.once("close", () => {
          connection.endCall();
          if (this.closing !== undefined) server.closeIdleConnections();
        });
      },
    );
    // It gets its connections from the listener, and looks after their time once it listens itself.
    server.emit("listening");
    return server;
  }

  private answer(request: EdgeRequest, response: EdgeResponse, peer: Peer): void {
    discardRest(request, response);
    this.handle(request, response, withCertificate(peer, certificateOf(request)));
  }

  /** Waits for the first bytes, for a bounded time, and hands the connection on with them. */
  private decide(socket: Socket, serve: (protocol: "http1" | "http2") => void): void {
    const { clock } = this.modules;
    const drop = () => socket.destroy();
    const cancelTimer = clock.at(clock.nowMs() + limits.headersReadMsMax, drop);
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
      serve(start.toString("latin1") === HTTP2_START ? "http2" : "http1");
    };
    this.undecided.add(socket);
    socket.on("readable", read).on("end", drop).on("error", drop).on("close", settle);
  }
}

/** A client that names no protocol speaks HTTP/1.1. */
function agreedOn(socket: Socket): string | false | null {
  return socket instanceof TLSSocket && socket.alpnProtocol;
}

/** The client's, as the listener has checked it. */
function certificateOf({ socket }: EdgeRequest): Buffer | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined;
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
      setImmediate(() => {
        stream.close(constants.NGHTTP2_NO_ERROR);
        // What came meanwhile has to be read away: it would keep the stream, and its share, for good.
        request.resume();
      });
    });
  } else response.once("finish", () => request.resume());
}
