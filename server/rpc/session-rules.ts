/**
 * What an HTTP/2 connection may do and for how long, on every listener alike: how much is sent
 * before it waits, how large headers are, when its calls begin, how often it pings or takes calls
 * back, and when it has to leave. grpc-js has options for some of this, but none for pings or
 * windows, and node:http2 has none for time.
 */
import { constants } from "node:http2";
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import { CallTurns } from "./call-turns.js";
import type { CutCause, ListenerName, TransportMetrics } from "./transport-metrics.js";

/** Successive multiples of it, modulo 1, are spread evenly whatever their number. */
const GOLDEN_RATIO = 0.618_034;
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

  /** For the server's connections from now on, once its stack is there. */
  govern(server: Http2Server): void {
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
    server.on("session", (session) => this.hold(session, begin));
  }

  /** Tells every client to leave, once its calls have ended. */
  close(): void {
    for (const session of this.sessions) session.close();
  }

  private hold(session: ServerHttp2Session, begin: Begin): void {
    const { clock, transport } = this.modules;
    session.setLocalWindowSize(limits.receiveWindowBytes);
    const startedMs = clock.nowMs();
    // Clients that came together, after a restart for one, do not leave together.
    const share = 0.9 + 0.2 * ((this.count++ * GOLDEN_RATIO) % 1);
    const leaveAtMs = startedMs + limits.connectionAgeMs * share;
    let streams = 0;
    let idleSinceMs = startedMs;
    let isAnswered = true;
    let pings = 0;
    let resets = 0;
    const turns = new CallTurns();
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
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from(words));
      cut(cause);
    };
    const leave = (cause: CutCause) => {
      count(cause);
      session.goaway(constants.NGHTTP2_NO_ERROR, ANY_STREAM, Buffer.from(cause));
      session.close();
      after(limits.connectionGraceMs, () => session.destroy());
    };
    const beat = () => {
      if (session.destroyed) return;
      const nowMs = clock.nowMs();
      if (!isAnswered) cut("silent");
      else if (nowMs >= leaveAtMs) leave("age");
      else if (streams === 0 && nowMs >= idleSinceMs + limits.connectionIdleMs) leave("idle");
      else {
        pings = 0;
        resets = 0;
        isAnswered = false;
        session.ping(() => (isAnswered = true));
        after(limits.pingEveryMs, beat);
      }
    };
    after(limits.pingEveryMs, beat);

    this.sessions.add(session);
    session.on("ping", () => {
      // The words that gRPC's clients know: they ping half as often from then on.
      if (++pings === limits.pingsMax + 1) calm("pings", "too_many_pings");
    });
    session.on("stream", (...call) => {
      if (session.destroyed) return;
      const [stream] = call;
      streams++;
      turns.add(stream, () => {
        begin(...call);
        // Of a request without a body, Node has told the end by now, and to nobody.
        if (stream.readableEnded) stream.emit("end");
      });
      // Told by its end; whoever takes the call listens for himself.
      stream.on("error", () => undefined);
      stream.once("close", () => {
        streams--;
        idleSinceMs = clock.nowMs();
        if (stream.headersSent || session.destroyed) return;
        if (++resets > limits.resetsMax) calm("resets", "too many calls taken back");
      });
    });
    session.once("close", () => {
      this.sessions.delete(session);
      cancel();
    });
  }
}
