/**
 * One node's results, a bounded sequence of events. A cursor names the last event a reader has
 * processed and the server's instance; a reader pulls one event at a time, so a slow one holds no
 * memory. Proof bytes are erased at the fence; events are trimmed by count and age.
 */
import type { Outcome, Summary } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid } from "../errors.js";

export type LogEvent =
  { kind: "outcome"; outcome: Outcome } | { kind: "summary"; summary: Summary };

export interface LogEntry {
  seq: number;
  sessionId: string;
  event: LogEvent;
  /** Proof bytes are erased from here on. */
  fenceAtMs: number;
}

/** What reading after a cursor gives. */
export type ReadResult =
  | { kind: "entry"; entry: LogEntry }
  | {
      kind: "gap";
      cause: "trimmed" | "server_restarted";
      events: number;
      sessionIds: string[];
      resumeSeq: number;
    }
  | { kind: "end"; seq: number };

export class ResultsLog {
  private entries: LogEntry[] = [];
  private trimmed: { seq: number; sessionId: string }[] = [];
  private nextSeq = 1;
  private readonly waiters = new Set<() => void>();

  constructor(private readonly options: { instance: string; eventsMax: number }) {}

  append(entry: Omit<LogEntry, "seq">): void {
    this.entries.push({ ...entry, seq: this.nextSeq++ });
    while (this.entries.length > this.options.eventsMax) this.dropOldest();
    for (const wake of [...this.waiters]) wake();
  }

  /** Erases proofs past their fence and drops events past their retention. */
  expire(nowMs: number, retentionMs: number): void {
    this.eraseProofs(nowMs);
    let oldest = this.entries[0];
    while (oldest !== undefined && oldest.fenceAtMs + retentionMs <= nowMs) {
      this.dropOldest();
      oldest = this.entries[0];
    }
  }

  get size(): number {
    return this.entries.length;
  }

  outcomesOf(sessionId: string, nowMs: number): LogEntry[] {
    this.eraseProofs(nowMs);
    return this.entries.filter((entry) => entry.sessionId === sessionId);
  }

  /** The event after `seq`; a gap when some in between are gone. */
  readAfter(seq: number, nowMs: number): ReadResult {
    this.eraseProofs(nowMs);
    const oldest = this.entries[0];
    const firstKept = oldest?.seq ?? this.nextSeq;
    if (seq > 0 && seq < firstKept - 1) {
      const missed = this.trimmed.filter((event) => event.seq > seq);
      const sessionIds = [...new Set(missed.map(({ sessionId }) => sessionId))];
      return {
        kind: "gap",
        cause: "trimmed",
        events: firstKept - 1 - seq,
        sessionIds,
        resumeSeq: firstKept - 1,
      };
    }
    const entry = this.entries[Math.max(0, seq + 1 - firstKept)];
    return entry === undefined ? { kind: "end", seq: this.nextSeq - 1 } : { kind: "entry", entry };
  }

  /** Resolves at the next append, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.waiters.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.waiters.add(done);
      signal.addEventListener("abort", done);
    });
  }

  cursor(seq: number): string {
    return Buffer.from(`${this.options.instance}:${seq}`).toString("base64url");
  }

  /** Where to resume: 0 for all that is retained; another instance's cursor is a gap. */
  parseCursor(cursor: string): { seq: number; isOtherInstance: boolean } {
    if (cursor === "") return { seq: 0, isOtherInstance: false };
    const match = /^([0-9a-f]{16}):(\d{1,15})$/.exec(Buffer.from(cursor, "base64url").toString());
    if (match === null) throw invalid("cursor", "is not one that this service gave out");
    if (match[1] !== this.options.instance) return { seq: 0, isOtherInstance: true };
    const seq = Number(match[2]);
    if (seq >= this.nextSeq) throw invalid("cursor", "is ahead of this node's results");
    return { seq, isOtherInstance: false };
  }

  /** Before every read, too: the timer that expires comes a little after the fence. */
  private eraseProofs(nowMs: number): void {
    for (const { event, fenceAtMs } of this.entries) {
      if (fenceAtMs <= nowMs && event.kind === "outcome") event.outcome.proof = new Uint8Array(0);
    }
  }

  private dropOldest(): void {
    const dropped = this.entries.shift();
    if (dropped === undefined) return;
    this.trimmed.push({ seq: dropped.seq, sessionId: dropped.sessionId });
    if (this.trimmed.length > this.options.eventsMax) this.trimmed.shift();
  }
}
