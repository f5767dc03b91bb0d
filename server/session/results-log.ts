/**
 * The results of one node: a bounded sequence of events. A cursor names the server's instance and
 * the last event that the reader has processed. A reader pulls one event at a time, so a slow reader
 * holds no memory. No proof is read at its fence or later; events are trimmed by count and age.
 */
import type { Outcome, Summary } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid } from "../errors.js";

export type LogEvent =
  { kind: "outcome"; outcome: Outcome } | { kind: "summary"; summary: Summary };

export interface LogEntry {
  seq: number;
  sessionId: string;
  event: LogEvent;
  /** From this instant on the proof is erased. */
  fenceAtMs: number;
}

/** What a read after a cursor returns. */
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

export interface ResultsLogOptions {
  /** Identifies this run of the server; part of every cursor. */
  instance: string;
  eventsMax: number;
  /** The monotonic clock of all fences. */
  nowMs: () => number;
  /**
   * The highest sequence number of a forgotten log of this node; 0 without one. A reader with
   * a smaller cursor gets a gap.
   */
  afterSeq: number;
}

export class ResultsLog {
  private entries: LogEntry[] = [];
  private trimmed: { seq: number; sessionId: string }[] = [];
  private nextSeq: number;
  private readonly waiters = new Set<() => void>();

  constructor(private readonly options: ResultsLogOptions) {
    this.nextSeq = options.afterSeq + 1;
  }

  append(entry: Omit<LogEntry, "seq">): void {
    this.entries.push({ ...entry, seq: this.nextSeq++ });
    while (this.entries.length > this.options.eventsMax) this.dropOldest();
    for (const wake of [...this.waiters]) wake();
  }

  /** Erases proofs past their fence and drops events past their retention. */
  expire(retentionMs: number): void {
    const nowMs = this.options.nowMs();
    for (const entry of this.entries) eraseIfFenced(entry, nowMs);
    let oldest = this.entries[0];
    while (oldest !== undefined && oldest.fenceAtMs + retentionMs <= nowMs) {
      this.dropOldest();
      oldest = this.entries[0];
    }
  }

  get size(): number {
    return this.entries.length;
  }

  /** Sequence number of the newest event. */
  get lastSeq(): number {
    return this.nextSeq - 1;
  }

  /** The retained events of a session, in order. */
  ofSession(sessionId: string): LogEntry[] {
    const nowMs = this.options.nowMs();
    const own = this.entries.filter((entry) => entry.sessionId === sessionId);
    for (const entry of own) eraseIfFenced(entry, nowMs);
    return own;
  }

  /** The event after `seq`; a gap when events after it were trimmed. */
  readAfter(seq: number): ReadResult {
    const oldest = this.entries[0];
    const firstKept = oldest?.seq ?? this.nextSeq;
    // The content of a forgotten log is unknown: a gap without number and names stands for all of it.
    if (seq < this.options.afterSeq) {
      const resumeSeq = firstKept - 1;
      return { kind: "gap", cause: "trimmed", events: 0, sessionIds: [], resumeSeq };
    }
    if (seq < firstKept - 1) {
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
    const entry = this.entries[seq + 1 - firstKept];
    if (entry === undefined) return { kind: "end", seq: this.lastSeq };
    eraseIfFenced(entry, this.options.nowMs());
    return { kind: "entry", entry };
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

  /**
   * Where to resume: an empty cursor means from the oldest event, and so does the cursor of another
   * instance. Throws a `Refusal` for a malformed cursor or one ahead of the log.
   */
  parseCursor(cursor: string): { seq: number; isOtherInstance: boolean } {
    const beforeAll = (this.entries[0]?.seq ?? this.nextSeq) - 1;
    if (cursor === "") return { seq: beforeAll, isOtherInstance: false };
    const plain = Buffer.from(cursor, "base64url");
    const match = /^([0-9a-f]{16}):(0|[1-9]\d{0,14})$/.exec(plain.toString());
    // The decoder ignores characters that are not base64.
    if (match === null || plain.toString("base64url") !== cursor) {
      throw invalid("cursor", "is not a cursor of this service");
    }
    if (match[1] !== this.options.instance) return { seq: beforeAll, isOtherInstance: true };
    const seq = Number(match[2]);
    if (seq > this.lastSeq) throw invalid("cursor", "is ahead of this node's results");
    return { seq, isOtherInstance: false };
  }

  private dropOldest(): void {
    const dropped = this.entries.shift();
    if (dropped === undefined) return;
    this.trimmed.push({ seq: dropped.seq, sessionId: dropped.sessionId });
    if (this.trimmed.length > this.options.eventsMax) this.trimmed.shift();
  }
}

function eraseIfFenced({ event, fenceAtMs }: LogEntry, nowMs: number): void {
  if (fenceAtMs <= nowMs && event.kind === "outcome") event.outcome.proof = new Uint8Array(0);
}
