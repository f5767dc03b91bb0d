/** Which stretch of time the page shows: the newest, live, or one that the user has stopped at. */
import type { Answer } from "../model/answer.js";
import type { Span } from "./timeline.js";

/** Lengths of time to choose from, in milliseconds. */
export const SPANS_MS = [10_000, 30_000, 60_000, 300_000];
/** Share of the time shown that stays free behind the present, for deadlines and fences to come. */
const AHEAD = 0.12;

export class ShownTime {
  lengthMs = 30_000;
  /** Undefined while live. */
  private stoppedAtMs: number | undefined;
  /** The browser's clock less the service's: the least that was seen, which had the least delay. */
  private offsetMs = Infinity;
  private unixOffsetMs = 0;
  private recordedEndMs: number | undefined;

  get isLive(): boolean {
    return this.stoppedAtMs === undefined;
  }

  take({ nowMs, nowUnixMs, isRecorded }: Answer): void {
    this.offsetMs = Math.min(this.offsetMs, performance.now() - nowMs);
    this.unixOffsetMs = nowUnixMs - nowMs;
    if (isRecorded) this.recordedEndMs = nowMs;
  }

  /** Another run of the service has another clock. */
  reset(): void {
    this.offsetMs = Infinity;
    this.stoppedAtMs = undefined;
  }

  nowMs(): number {
    return this.recordedEndMs ?? performance.now() - this.offsetMs;
  }

  span(): Span {
    const nowMs = this.nowMs();
    const toMs = this.stoppedAtMs ?? nowMs + this.lengthMs * AHEAD;
    return { fromMs: toMs - this.lengthMs, toMs, nowMs, unixOffsetMs: this.unixOffsetMs };
  }

  toggle(): void {
    this.stoppedAtMs = this.isLive ? this.span().toMs : undefined;
  }

  /** Moves what is shown by a share of its length; later than live is live. */
  move(share: number): void {
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
