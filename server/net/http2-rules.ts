/**
 * What an HTTP/2 connection may do and for how long, on every listener alike: how much is sent
 * before it waits, how large headers are, when its calls begin, how often it pings, changes its
 * settings or takes calls back, and when it has to leave. grpc-js has options for some of this, but
 * none for pings, settings or windows, and node:http2 has none for time.
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

/** A stream id that leaves every call of the client's to finish. */
const ANY_STREAM = 2 ** 31 - 1;

/** How a server's stack takes a call; Node passes raw headers too. */
type Begin = (...call: [ServerHttp2Stream, IncomingHttpHeaders, number]) => void;

export interface SessionRulesModules {
  clock: Clock;
  transport: TransportMetrics;
}

export class SessionRules {
  private readonly sessions = new Set<ServerHttp2Session>();
  private count = 0;

  constructor(
    private readonly name: ListenerName,
    private readonly modules: SessionRulesModules,
  ) {}

  /**
   * For the connections of a server whose stack is there by now: gives each to the server through
   * `connect`, which makes a session of it at once, or none.
   */
  govern(server: Http2Server, connect: (socket: Socket) => void): Serve {
    const [begin] = server.listeners("stream") as Begin[];
    if (begin === undefined) throw new Error("this server takes its calls elsewhere");
    // As the connection's turn comes, and not as the headers do.
    server.removeAllListeners("stream");
    server.updateSettings({
      maxConcurrentStreams: limits.callsPerConnectionMax,
      maxHeaderListSize: limits.headerBytesMax,
      // Each stream's window; the connection's is set as it comes.
      initialWindowSize: limits.receiveWindowBytes,
    });
    return (socket, connection) => {
      // Half-open connections are HTTP/1.1's: an HTTP/2 client that ends its side is gone.
      socket.allowHalfOpen = false;
      const hold = (session: ServerHttp2Session) => this.hold(session, connection, begin);
      server.once("session", hold);
      connect(socket);
      server.off("session", hold);
    };
  }

  /** Tells every client to leave, once its calls have ended. */
  close(): void {
    for (const session of this.sessions) session.close();
  }

  private hold(session: ServerHttp2Session, connection: Connection, begin: Begin): void {
    const { clock, transport } = this.modules;
    session.setLocalWindowSize(limits.receiveWindowBytes);
    // Clients that came together, after a restart for one, do not leave together.
    const share = 0.9 + 0.2 * lowDiscrepancy(this.count++);
    const leaveAtMs = connection.startedMs + limits.connectionAgeMs * share;
    let isAnswered = true;
    let pings = 0;
    let settings = 0;
    let resets = 0;
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
    const leave = (cause: CutCause) => {
      count(cause);
      session.goaway(constants.NGHTTP2_NO_ERROR, ANY_STREAM, Buffer.from(cause));
      session.close();
      after(limits.connectionGraceMs, () => session.destroy());
    };
    const isIdle = () =>
      !connection.isBusy && clock.nowMs() >= connection.idleSinceMs + limits.connectionIdleMs;
    const beat = () => {
      if (session.destroyed) return;
      if (!isAnswered) cut("silent");
      else if (clock.nowMs() >= leaveAtMs) leave("age");
      else if (isIdle()) leave("idle");
      else {
        pings = 0;
        settings = 0;
        resets = 0;
        isAnswered = false;
        session.ping(() => (isAnswered = true));
        after(limits.pingEveryMs, beat);
      }
    };
    after(limits.pingEveryMs, beat);

    this.sessions.add(session);
    // What breaks the protocol is cut by Node; a broken connection is nobody's fault.
    session.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code?.startsWith("ERR_HTTP2_") === true) connection.blame();
    });
    session.on("ping", () => {
      // The words that gRPC's clients know: they ping half as often from then on.
      if (++pings === limits.pingsMax + 1) calm("pings", "too_many_pings");
    });
    session.on("remoteSettings", () => {
      if (++settings === limits.settingsMax + 1) calm("settings", "too many settings");
    });
    takeCalls(session, connection, begin, () => {
      if (++resets === limits.resetsMax + 1) calm("resets", "too many calls taken back");
    });
    session.once("close", () => {
      this.sessions.delete(session);
      cancel();
    });
  }
}

/** @param takenBack told of each call that ended without an answer while the session lives */
function takeCalls(
  session: ServerHttp2Session,
  connection: Connection,
  begin: Begin,
  takenBack: () => void,
): void {
  const turns = new CallTurns();
  session.on("stream", (...call) => {
    if (session.destroyed) return;
    const [stream] = call;
    connection.beginCall();
    turns.add(stream, () => {
      begin(...call);
      // Of a request without a body, Node has told the end by now, and to nobody.
      if (stream.readableEnded) stream.emit("end");
    });
    // Told by its end; whoever takes the call listens for himself.
    stream.on("error", () => undefined);
    stream.once("close", () => {
      connection.endCall();
      if (!stream.headersSent && !session.destroyed) takenBack();
    });
  });
}
