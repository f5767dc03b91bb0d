/** Which stretch of time the page shows: the newest, live, or one that the user has stopped at. */
import type { Answer } from "../model/answer.js";
import { ClockOffset } from "../model/clock-offset.js";
import type { PlayClock } from "../model/play-clock.js";
import type { Span } from "./timeline.js";

/** Lengths of time to choose from, in milliseconds. */
export const SPANS_MS = [10_000, 30_000, 60_000, 300_000];
/** Share of the time shown that stays free behind the present, for deadlines and fences to come. */
const AHEAD = 0.12;

export class ShownTime {
  lengthMs = 30_000;
  /** Of a recording, the instant that is played; undefined when the page is live. */
  recording: PlayClock | undefined;
  /** Undefined while live. */
  private stoppedAtMs: number | undefined;
  private readonly offset = new ClockOffset();
  /** The instant of the newest answer. */
  private answeredAtMs = -Infinity;
  /** False while nothing is known of the service: the time shown stands still. */
  private isConnected = false;
  private unixOffsetMs = 0;

  /** Whether what is shown goes on. */
  get isGoing(): boolean {
    return this.recording?.isPlaying(performance.now()) ?? this.stoppedAtMs === undefined;
  }

  take({ nowMs, nowUnixMs }: Answer): void {
    if (!this.isConnected) this.offset.reset();
    this.isConnected = true;
    this.answeredAtMs = nowMs;
    this.offset.take(performance.now(), nowMs);
    this.unixOffsetMs = nowUnixMs - nowMs;
  }

  /** The stream is lost: no time passes until the next answer. */
  lose(): void {
    this.isConnected = false;
  }

  /** Another run of the service has another clock. */
  reset(): void {
    this.offset.reset();
    this.stoppedAtMs = undefined;
  }

  nowMs(): number {
    const browserMs = performance.now();
    // What would have happened since the last answer is not known.
    const liveMs = this.isConnected ? browserMs - this.offset.ms : this.answeredAtMs;
    return this.recording?.at(browserMs) ?? liveMs;
  }

  span(): Span {
    const nowMs = this.nowMs();
    const toMs = this.stoppedAtMs ?? nowMs + this.lengthMs * AHEAD;
    return { fromMs: toMs - this.lengthMs, toMs, nowMs, unixOffsetMs: this.unixOffsetMs };
  }

  /** Stops, or goes on. */
  toggle(): void {
    const { recording, isGoing } = this;
    if (recording === undefined) this.stoppedAtMs = isGoing ? this.span().toMs : undefined;
    else if (isGoing) recording.pause(performance.now());
    else recording.play(performance.now());
  }

  /** Moves what is shown by a share of its length; later than live is live. */
  move(share: number): void {
    if (this.recording !== undefined) {
      return this.recording.seek(this.nowMs() + share * this.lengthMs, performance.now());
    }
    const toMs = this.span().toMs + share * this.lengthMs;
    const latestMs = this.nowMs() + this.lengthMs * AHEAD;
    this.stoppedAtMs = toMs >= latestMs ? undefined : toMs;
  }

  /** The next longer or shorter time. */
  zoom(by: 1 | -1): void {
    const at = SPANS_MS.indexOf(this.lengthMs);
    this.lengthMs = SPANS_MS[Math.min(SPANS_MS.length - 1, Math.max(0, at + by))] ?? this.lengthMs;
  }
}
