/**
 * The rules of every HTTP/2 connection: its windows, the size of its headers, when its calls begin,
 * how old it may get, and how often the client may ping, change settings or reset calls. A
 * connection that breaks a rule is cut; an old or idle one gets GOAWAY. node:http2 has few options
 * for this.
 */
import { constants } from "node:http2";
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import { lowDiscrepancy } from "../low-discrepancy.js";
import { CallTurns } from "./call-turns.js";
import type { Connection } from "./connection.js";
import type { Serve } from "./listener.js";
import type { CutCause, ListenerName, TransportMetrics } from "./metrics.js";

/** The highest stream id. A GOAWAY with this id lets every open call finish. */
const ANY_STREAM = 2 ** 31 - 1;

/** The function by which node:http2 begins a call: its own listener of the event `stream`. */
type Begin = (...call: [ServerHttp2Stream, IncomingHttpHeaders, number]) => void;

export interface Http2RulesModules {
  clock: Clock;
  transport: TransportMetrics;
}

export class Http2Rules {
  private readonly sessions = new Set<ServerHttp2Session>();
  /** Connections so far, over the life of the listener. */
  private count = 0;
  /** When the headers of each call had arrived. */
  private readonly receivedAtMs = new WeakMap<ServerHttp2Stream, number>();

  constructor(
    private readonly name: ListenerName,
    private readonly modules: Http2RulesModules,
  ) {}

  /**
   * Applies the rules to the connections of `server`; throws when that has no listener of `stream`.
   * `connect` passes a socket to the server, and must create the HTTP/2 session before it returns.
   */
  govern(server: Http2Server, connect: (socket: Socket) => void): Serve {
    const [begin] = server.listeners("stream") as Begin[];
    if (begin === undefined) throw new Error("the server has no stream listener");
    // `CallTurns` calls `begin` in the call's turn; Node would call it when the headers arrive.
    server.removeAllListeners("stream");
    server.updateSettings({
      maxConcurrentStreams: limits.callsPerConnectionMax,
      maxHeaderListSize: limits.headerBytesMax,
      // The window of each stream; that of the whole connection is set in `hold`.
      initialWindowSize: limits.receiveWindowBytes,
    });
    return (socket, connection) => {
      // An HTTP/2 client that ends its side of the connection is gone; only HTTP/1.1 allows it.
      socket.allowHalfOpen = false;
      const hold = (session: ServerHttp2Session) => this.hold(session, connection, begin);
      server.once("session", hold);
      connect(socket);
      server.off("session", hold);
    };
  }

  /** When the call's headers had arrived, on the monotonic clock: it may begin turns later. */
  receiptOf(stream: ServerHttp2Stream): number {
    return this.receivedAtMs.get(stream) ?? this.modules.clock.nowMs();
  }

  /** Sends GOAWAY on every connection: each closes once its calls have ended. */
  close(): void {
    for (const session of this.sessions) session.close();
  }

  private hold(session: ServerHttp2Session, connection: Connection, begin: Begin): void {
    const { clock, transport } = this.modules;
    session.setLocalWindowSize(limits.receiveWindowBytes);
    // From 0.9 to 1.1: clients that connect at once, as after a restart, do not reconnect at once.
    const share = 0.9 + 0.2 * lowDiscrepancy(this.count++);
    const leaveAtMs = connection.startedMs + limits.connectionAgeMs * share;
    let isAnswered = true;
    let cancel = () => {};

    const after = (ms: number, act: () => void) => {
      cancel = clock.at(clock.nowMs() + ms, act);
    };
    const count = (cause: CutCause) => transport.cuts.inc({ listener: this.name, cause });
    const cut = (cause: CutCause) => {
      count(cause);
      session.destroy();
    };
    const calm = (cause: CutCause, words: string) => {
      connection.blame();
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from(words));
      cut(cause);
    };
    // gRPC clients know the words `too_many_pings`, and ping half as often from then on.
    const pings = new Allowance(limits.pingsMax, () => calm("pings", "too_many_pings"));
    const settings = new Allowance(limits.settingsMax, () => calm("settings", "too many settings"));
    const resets = new Allowance(limits.resetsMax, () => calm("resets", "too many resets"));
    const leave = (cause: CutCause) => {
      count(cause);
      session.goaway(constants.NGHTTP2_NO_ERROR, ANY_STREAM, Buffer.from(cause));
      session.close();
      after(limits.connectionGraceMs, () => session.destroy());
    };
    const isIdle = () =>
      !connection.isBusy && clock.nowMs() >= connection.sinceMs + limits.connectionIdleMs;
    const beat = () => {
      if (session.destroyed) return;
      if (!isAnswered) cut("silent");
      else if (clock.nowMs() >= leaveAtMs) leave("age");
      else if (isIdle()) leave("idle");
      else {
        for (const count of [pings, settings, resets]) count.reset();
        isAnswered = false;
        session.ping(() => (isAnswered = true));
        after(limits.pingEveryMs, beat);
      }
    };
    after(limits.pingEveryMs, beat);

    this.sessions.add(session);
    // Node cuts a client that breaks the protocol; other errors are not the client's fault.
    session.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith("ERR_HTTP2_") === true) connection.blame();
    });
    session.on("ping", () => pings.add());
    session.on("remoteSettings", () => settings.add());
    session.on("stream", (stream) => this.receivedAtMs.set(stream, clock.nowMs()));
    takeCalls(session, connection, begin, () => resets.add());
    session.once("close", () => {
      this.sessions.delete(session);
      cancel();
    });
  }
}

/** Counts up to `max`, and calls `exceeded` once at the count after that. */
class Allowance {
  private count = 0;

  constructor(
    private readonly max: number,
    private readonly exceeded: () => void,
  ) {}

  add(): void {
    if (++this.count === this.max + 1) this.exceeded();
  }

  reset(): void {
    this.count = 0;
  }
}

/**
 * Reports to `connection` when each call of a session arrives and when it ends. Begins the calls in
 * order of arrival, one in each turn of the event loop; a call that is reset before its turn never
 * begins.
 * @param onReset called for each call that ends without response headers although the session is
 *   still open
 */
function takeCalls(
  session: ServerHttp2Session,
  connection: Connection,
  begin: Begin,
  onReset: () => void,
): void {
  const turns = new CallTurns();
  session.on("stream", (...call) => {
    if (session.destroyed) return;
    const [stream] = call;
    connection.beginCall();
    turns.add(stream, () => {
      begin(...call);
      // Of a request without a body, Node has emitted the end before `begin` listened for it.
      if (stream.readableEnded) stream.emit("end");
    });
    // Node throws an error that has no listener. Nothing to do here: 'close' follows.
    stream.on("error", () => undefined);
    stream.once("close", () => {
      connection.endCall();
      if (!stream.headersSent && !session.destroyed) onReset();
    });
  });
}
