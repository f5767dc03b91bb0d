/**
 * Exports the traces: reads what happened from the activities a few times a second, as the live page does,
 * and sends the finished spans to the collector. No part of the service waits for it or calls it while a
 * snapshot is on its way. What waits is bounded: the oldest spans go first, and are counted.
 */
import type { ActivityFeed } from "../activity.js";
import type { Clock } from "../clock.js";
import { cut, LIBRARY_ERROR_LENGTH_MAX } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import type { Metrics } from "../metrics/metrics.js";
import { printable } from "../printable.js";
import type { Collector, Sent } from "./collector.js";
import { exportRequest } from "./otlp-message.js";
import type { Resource } from "./otlp-message.js";
import type { Span } from "./span.js";
import { Traces } from "./traces.js";

/** Time between two requests while little is to be sent. */
const SEND_EVERY_MS = 1000;
/** Time after a failed request; doubled with each that follows, up to the longest. */
const RETRY_MS = 1000;
const RETRY_MS_MAX = 30_000;
/** Time between two logged failures. */
const LOG_EVERY_MS = 60_000;
/** Most milliseconds that `close` goes on sending. */
const CLOSE_MS_MAX = 2000;

export interface TracingOptions extends Resource {
  /** Share of the snapshots without a caller's context that are traced: 0 to 1. */
  ratio: number;
}

export interface TracingModules {
  clock: Clock;
  log: Logger;
  metrics: Pick<Metrics, "spans">;
  activity: Pick<ActivityFeed, "has" | "take">;
  collector: Pick<Collector, "send" | "close">;
  random(bytes: number): Buffer;
}

export class Tracing {
  private readonly traces: Traces;
  /** Finished spans, oldest first. */
  private waiting: Span[] = [];
  private nextActivity = 0;
  /** Set while there is more to read than one turn of the event loop takes. */
  private reading: NodeJS.Immediate | undefined;
  private sending: Promise<void> | undefined;
  private sendAtMs = 0;
  private retryMs = RETRY_MS;
  /** Whether the last logged failure lasts. */
  private isFailing = false;
  /** When the next failure may be logged. */
  private logFromMs = -Infinity;
  private isClosed = false;

  constructor(
    private readonly options: TracingOptions,
    private readonly modules: TracingModules,
  ) {
    const { clock, random } = modules;
    this.traces = new Traces(options, {
      offsetMs: () => clock.unixMs() - clock.nowMs(),
      random,
      ended: (span) => void this.waiting.push(span),
      dropped: () => this.count("dropped"),
    });
  }

  /** Takes what has happened, and starts to send if it is time to. Called a few times a second. */
  collect(): void {
    const { clock } = this.modules;
    if (this.reading === undefined) this.read();
    const nowMs = clock.nowMs();
    this.traces.expire(nowMs);
    if (this.sending !== undefined || this.waiting.length === 0 || nowMs < this.sendAtMs) return;
    this.sending = this.sendAll().finally(() => (this.sending = undefined));
  }

  /** Sends what waits, for up to two seconds. Never rejects. */
  async close(): Promise<void> {
    const { clock, collector } = this.modules;
    clearImmediate(this.reading);
    while (this.readSome());
    const late = new Promise<void>((resolve) => clock.at(clock.nowMs() + CLOSE_MS_MAX, resolve));
    const sent = (this.sending ?? Promise.resolve()).then(() => this.sendAll());
    await Promise.race([sent, late]);
    this.isClosed = true;
    collector.close();
    this.count("dropped", this.waiting.length);
    this.waiting = [];
  }

  private read(): void {
    const isMore = this.readSome();
    this.reading = isMore ? setImmediate(() => this.read()) : undefined;
  }

  /** Returns whether there is more to read. */
  private readSome(): boolean {
    const { activity } = this.modules;
    const { records, missed, next } = activity.take(this.nextActivity, limits.tracedActivitiesMax);
    this.nextActivity = next;
    // Of each activity that is gone, a span is missing or lasts too long.
    this.count("dropped", missed);
    for (const record of records) this.traces.take(record);
    this.bound();
    return activity.has(next);
  }

  private bound(): void {
    const over = this.waiting.length - limits.spansWaitingMax;
    if (over <= 0) return;
    this.waiting.splice(0, over);
    this.count("dropped", over);
  }

  /** Sends until nothing waits or the collector fails. Never rejects. */
  private async sendAll(): Promise<void> {
    const { clock, collector } = this.modules;
    while (this.waiting.length > 0) {
      const spans = this.waiting.splice(0, limits.spansPerRequestMax);
      const sent = await collector.send(exportRequest(spans, this.options));
      this.note(sent);
      if (sent.kind === "failed") {
        if (this.isClosed) return this.count("dropped", spans.length);
        this.waiting = [...spans, ...this.waiting];
        this.bound();
        this.sendAtMs = clock.nowMs() + Math.min(RETRY_MS_MAX, sent.afterMs ?? this.retryMs);
        this.retryMs = Math.min(RETRY_MS_MAX, this.retryMs * 2);
        return;
      }
      const rejected =
        sent.kind === "refused" ? spans.length : Math.min(spans.length, sent.rejected);
      this.count("rejected", rejected);
      this.count("sent", spans.length - rejected);
      this.retryMs = RETRY_MS;
    }
    this.sendAtMs = clock.nowMs() + SEND_EVERY_MS;
  }

  /** Logs the first of several failures, and the end of them: once a minute, however often it changes. */
  private note(sent: Sent): void {
    const { clock, log } = this.modules;
    const hasFailed = sent.kind !== "taken" || sent.rejected > 0;
    const nowMs = clock.nowMs();
    if (hasFailed === this.isFailing || (hasFailed && nowMs < this.logFromMs)) return;
    this.isFailing = hasFailed;
    if (hasFailed) {
      this.logFromMs = nowMs + LOG_EVERY_MS;
      const line = { reason: cut(printable(sent.reason), LIBRARY_ERROR_LENGTH_MAX) };
      log.warn(line, "the collector of --otlp does not take the traces; the service goes on");
    } else log.info({}, "the collector of --otlp takes the traces again");
  }

  private count(result: "sent" | "dropped" | "rejected", spans = 1): void {
    if (spans > 0) this.modules.metrics.spans.inc({ result }, spans);
  }
}
