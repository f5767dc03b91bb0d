/**
 * HTTP/1.1 and HTTP/2 at one address, so that gRPC, gRPC-Web and Connect can share it. Over TLS the
 * handshake agrees on the version; in plain text the first bytes of a connection show it.
 */
import { createServer as createHttp1Server } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { constants, createServer as createHttp2Server } from "node:http2";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Connection } from "./connection.js";
import { answerForbidden, hostProblem } from "./host-rule.js";
import { Listener } from "./listener.js";
import type { ListenerModules, ListenerOptions } from "./listener.js";
import type { CutCause } from "./metrics.js";
import { withCertificate } from "./peer.js";
import type { Peer } from "./peer.js";
import { Pipeline } from "./pipeline.js";
import { Http2Rules } from "./http2-rules.js";

/** Every HTTP/2 connection starts with these bytes, and no HTTP/1.1 request does. */
const HTTP2_START = "PRI";
/** How often Node checks for HTTP/1.1 requests that take too long. */
const CHECK_EVERY_MS = 1000;

export type HttpRequest = IncomingMessage | Http2ServerRequest;
export type HttpResponse = ServerResponse | Http2ServerResponse;

/** A call whose turn has come. */
export interface ReceivedCall {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  /** The client at the other end of the connection. */
  readonly peer: Peer;
  /** When its headers had arrived, on the monotonic clock. */
  readonly receivedAtMs: number;
}

type Handle = (call: ReceivedCall) => void;

export class HttpListener {
  private readonly listener: Listener;
  private readonly rules: Http2Rules;
  /** Plain-text connections whose first bytes have not arrived yet. */
  private readonly undecided = new Set<Socket>();
  /** HTTP/1.1 connections, by the socket that `request.socket` is for their requests. */
  private readonly connections = new WeakMap<
    Socket,
    { connection: Connection; pipeline: Pipeline }
  >();
  private readonly http1: ReturnType<typeof createHttp1Server>[] = [];
  private closing: Promise<void> | undefined;

  constructor(
    private readonly handle: Handle,
    private readonly options: Omit<ListenerOptions, "protocols">,
    private readonly modules: ListenerModules,
  ) {
    this.listener = new Listener({ ...options, protocols: ["h2", "http/1.1"] }, modules);
    this.rules = new Http2Rules(options.name, modules);
  }

  /** Binds `host:port` or `unix:/path`; returns the address, with the chosen port for port 0. */
  listen(address: string): Promise<string> {
    const peer = this.listener.peerAt(address);
    const http1 = this.createHttp1(peer);
    const http2 = createHttp2Server((request, response) => {
      const receivedAtMs = this.rules.receiptOf(request.stream);
      this.answer({ request, response, peer, receivedAtMs });
    });
    const connectHttp2 = this.rules.govern(http2, (socket) => http2.emit("connection", socket));
    this.http1.push(http1);
    return this.listener.listen(address, (socket, connection) => {
      const serve = (protocol: "http1" | "http2") => {
        if (protocol === "http2") return connectHttp2(socket, connection);
        this.connections.set(socket, { connection, pipeline: new Pipeline(socket) });
        http1.emit("connection", socket);
        if (peer.isEncrypted) readThroughStream(socket);
      };
      if (!peer.isEncrypted) this.decide(socket, serve);
      else serve(agreedOn(socket) === "h2" ? "http2" : "http1");
    });
  }

  /** Accepts no more calls; cuts those still in progress after `boundMs`. Idempotent. */
  close(boundMs: number): Promise<void> {
    return (this.closing ??= this.closeAll(boundMs));
  }

  private async closeAll(boundMs: number): Promise<void> {
    const closed = this.listener.close(boundMs);
    for (const server of this.http1) server.close();
    for (const socket of this.undecided) socket.destroy();
    this.rules.close();
    await closed;
  }

  private createHttp1(peer: Peer) {
    const server = createHttp1Server(
      {
        headersTimeout: limits.headersReadMsMax,
        // Node's would count the time in which a call that is sent ahead waits for its turn, and answer 408
        // to the call before it. What reads a body bounds its time.
        requestTimeout: 0,
        keepAliveTimeout: limits.keepAliveMs,
        maxHeaderSize: limits.headerBytesMax,
        connectionsCheckingInterval: CHECK_EVERY_MS,
      },
      (request, response) => {
        // Node goes on with what it has read from a connection that was cut.
        if (request.socket.destroyed) return;
        const found = this.connections.get(request.socket);
        if (found === undefined) throw new Error("a request did not come through the listener");
        const { connection, pipeline } = found;
        // A call that is sent ahead begins later than it was received.
        const receivedAtMs = this.modules.clock.nowMs();
        if (pipeline.isFull) return this.cutForCalls(request.socket, connection);
        connection.beginCall();
        response.once("close", () => {
          connection.endCall();
          pipeline.end();
          if (this.closing !== undefined) server.closeIdleConnections();
        });
        pipeline.add(() => {
          if (this.isOld(connection)) response.shouldKeepAlive = false;
          this.answer({ request, response, peer, receivedAtMs });
        });
      },
    );
    // This server never listens: `Listener` accepts for it. Node starts its timeouts at this event.
    server.emit("listening");
    return server;
  }

  /** An answer could not say why: those to the calls before come first. */
  private cutForCalls(socket: Socket, connection: Connection): void {
    connection.blame();
    this.count("calls");
    socket.destroy();
  }

  /** Whether the connection is to end with its next answer; counts it then. */
  private isOld({ startedMs }: Connection): boolean {
    if (this.modules.clock.nowMs() <= startedMs + limits.connectionAgeMs) return false;
    this.count("age");
    return true;
  }

  private count(cause: CutCause): void {
    this.modules.transport.cuts.inc({ listener: this.options.name, cause });
  }

  private answer({ request, response, peer, receivedAtMs }: ReceivedCall): void {
    discardRest(request, response, this.modules.clock);
    const problem = hostProblem(request, peer, this.options.allowedHosts ?? []);
    if (problem !== undefined) return answerForbidden(request, response, problem);
    const known = withCertificate(peer, certificateOf(request));
    this.handle({ request, response, peer: known, receivedAtMs });
  }

  /** Reads the first bytes, puts them back and calls `serve`; drops a client that is too slow. */
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

/**
 * Makes Node's HTTP/1.1 parser read a TLS socket through its stream: any listener of its data does.
 * Beneath the stream the parser still gets data while it is paused for an answer that the caller has
 * not read yet, fails with HPE_PAUSED, and the connection is lost (seen with Node 20.20).
 */
function readThroughStream(socket: Socket): void {
  socket.on("data", () => undefined);
}

/** The protocol that the TLS handshake agreed on; false when the client offered no protocol. */
function agreedOn(socket: Socket): string | false | null {
  return socket instanceof TLSSocket && socket.alpnProtocol;
}

/** The client's certificate in DER, checked by the listener; undefined when there is none. */
function certificateOf({ socket }: HttpRequest): Buffer | undefined {
  return socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined;
}

/**
 * Discards what a caller still sends once its call is answered. An HTTP/2 stream is reset after the
 * answer's last frame. An HTTP/1.1 request is read to its end, for a bounded time: closing the connection
 * at once could lose the answer.
 */
function discardRest(request: HttpRequest, response: HttpResponse, clock: Clock): void {
  if ("stream" in request) {
    const { stream } = request;
    const reset = () => stream.close(constants.NGHTTP2_NO_ERROR);
    const resetOnceSent = () => {
      if (stream.destroyed) return;
      if (stream.state.localClose === 1) reset();
      // Other answers keep the connection busy, and a reset would overtake the last frame.
      else stream.once("close", clock.at(clock.nowMs() + limits.answerTakeMsMax, reset));
    };
    stream.once("wantTrailers", () => {
      // Data that has arrived must be read, or the stream and its memory would stay for ever. Node
      // itself resets a stream that is never read, and may do it before the last frame.
      request.resume();
      // Node submits the last frame in the next turn of the loop, and sends it in the one after.
      setImmediate(() => setImmediate(resetOnceSent));
    });
    return;
  }
  response.once("finish", () => {
    if (request.complete) return;
    const cut = () => request.socket.destroy();
    request.once("close", clock.at(clock.nowMs() + limits.requestReadMsMax, cut));
    request.resume();
  });
}
