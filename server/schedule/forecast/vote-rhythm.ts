/**
 * When votes are to be expected: learned from the gaps between those that came. Nodes send them once a
 * slot, in bursts. A merge that is made ahead does not take the last idle lane when votes would have to
 * wait for it. Pure.
 */
import { gapBegan, gapEnded, noRhythm } from "../../work/rhythm.js";
import type { Submission } from "../../work/submission.js";
import { AGGREGATION } from "../../work/priority.js";

/** Votes that follow each other within so long are of one burst. */
const BURST_MS = 250;
/** Of the gaps that lasted as long as the present one, the newest that are looked at. */
const LOOKED_AT = 16;
/** Votes are expected where as large a share of those gaps would have ended by then. */
const LEAST_SHARE = 0.25;

export class VoteRhythm {
  /** Its present gap began when votes came last. */
  private rhythm = noRhythm;

  /** Notes a snapshot that came, also one that is skipped. Only votes of the present slots count. */
  heard({ priority, groups }: Pick<Submission, "priority" | "groups">, nowMs: number): void {
    if (priority > AGGREGATION || groups[0]?.work.kind !== "fold") return;
    const isSameBurst = nowMs - this.rhythm.sinceMs < BURST_MS;
    const ended = isSameBurst
      ? { ...this.rhythm, sinceMs: Infinity }
      : gapEnded(this.rhythm, nowMs, true);
    this.rhythm = gapBegan(ended, nowMs);
  }

  /**
   * Whether votes are expected within so many milliseconds: then until when to wait for them before
   * this is asked again; else undefined.
   */
  expectedWithin(ms: number, nowMs: number): { untilMs: number } | undefined {
    const { gapsMs, sinceMs } = this.rhythm;
    const lastsMs = nowMs - sinceMs;
    // Votes that are a little later than ever are still awaited.
    const lasting = gapsMs.filter((gapMs) => gapMs + BURST_MS > lastsMs).slice(0, LOOKED_AT);
    const ending = lasting.filter((gapMs) => gapMs < lastsMs + ms);
    if (ending.length === 0 || ending.length < LEAST_SHARE * lasting.length) return undefined;
    return { untilMs: sinceMs + Math.min(...ending) + BURST_MS };
  }
}
