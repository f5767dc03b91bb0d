/**
 * What an HTTP/2 connection may do and for how long, on every listener alike: how much is sent
 * before it waits, how large headers are, how often it pings, and when it has to leave. grpc-js has
 * options for some of this, but none for pings or windows, and node:http2 has none for time.
 */
import { constants } from "node:http2";
import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { CutCause, ListenerName, TransportMetrics } from "./transport-metrics.js";

/** Successive multiples of it, modulo 1, are spread evenly whatever their number. */
const GOLDEN_RATIO = 0.618_034;
/** A stream id that leaves every call of the client's to finish. */
const ANY_STREAM = 2 ** 31 - 1;

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

  /** For the server's connections from now on. */
  govern(server: Http2Server): void {
    server.updateSettings({
      maxConcurrentStreams: limits.callsPerConnectionMax,
      maxHeaderListSize: limits.headerBytesMax,
      // Each stream's window; the connection's is set as it comes.
      initialWindowSize: limits.receiveWindowBytes,
    });
    server.on("session", (session) => this.hold(session));
  }

  /** Tells every client to leave, once its calls have ended. */
  close(): void {
    for (const session of this.sessions) session.close();
  }

  private hold(session: ServerHttp2Session): void {
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
    let begun = 0;
    let cancel = () => {};

    const after = (ms: number, act: () => void) => {
      cancel = clock.at(clock.nowMs() + ms, act);
    };
    const count = (cause: CutCause) => transport.cuts.inc({ listener: this.name, cause });
    const cut = (cause: CutCause) => {
      count(cause);
      session.destroy();
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
        isAnswered = false;
        session.ping(() => (isAnswered = true));
        after(limits.pingEveryMs, beat);
      }
    };
    after(limits.pingEveryMs, beat);

    this.sessions.add(session);
    session.on("ping", () => {
      if (++pings !== limits.pingsMax + 1) return;
      // The words that gRPC's clients know: they ping half as often from then on.
      const words = Buffer.from("too_many_pings");
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, words);
      cut("pings");
    });
    session.on("stream", (stream) => {
      if (session.destroyed) return;
      streams++;
      // Calls are answered in later turns of the loop than they are read in: whoever begins twice as
      // many in one as may be open has taken most of them back (CVE-2023-44487).
      if (begun === 0) setImmediate(() => (begun = 0));
      if (++begun > 2 * limits.callsPerConnectionMax) cut("resets");
      stream.once("close", () => {
        streams--;
        idleSinceMs = clock.nowMs();
      });
    });
    session.once("close", () => {
      this.sessions.delete(session);
      cancel();
    });
  }
}
