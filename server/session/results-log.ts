/**
 * The results of one node: a bounded sequence of numbered events. A cursor names the run of the
 * server and the last event that the reader has processed. A reader takes one event at a time, so a
 * slow reader needs no buffer. A proof cannot be read at its fence or later. The oldest events are
 * dropped when they exceed a maximum number or age.
 */
import type { Outcome, Summary } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid } from "../errors.js";

/** The events of a session: the outcome of each of its groups, and last its summary. */
export type LogEvent =
  { kind: "outcome"; outcome: Outcome } | { kind: "summary"; summary: Summary };

export interface LogEntry {
  seq: number;
  sessionId: string;
  /** Epoch of the node when it submitted the session; 0: it named none. */
  nodeEpoch: bigint;
  event: LogEvent;
  /** The instant at which the proof is erased from the outcome. */
  fenceAtMs: number;
}

/** What a read after a sequence number returns. */
export type ReadResult =
  | { kind: "entry"; entry: LogEntry }
  /**
   * Events that the reader has not seen were dropped. Their number `events` is 0 if unknown, and
   * `sessionIds` has those of their sessions that are known. Reading goes on after `resumeSeq`.
   */
  | {
      kind: "gap";
      cause: "trimmed" | "server_restarted";
      events: number;
      sessionIds: string[];
      resumeSeq: number;
    }
  /** The log has no later event yet; `seq` is its last. */
  | { kind: "end"; seq: number };

export interface ResultsLogOptions {
  /** Identifies this run of the server; part of every cursor. */
  instance: string;
  /** Number of events beyond which the oldest are dropped. */
  eventsMax: number;
  /** The service's monotonic clock, in milliseconds. */
  nowMs: () => number;
  /**
   * The log's events are numbered from `afterSeq + 1`: the highest sequence number in any node's
   * forgotten log, or 0. A reader with a smaller cursor gets a gap.
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

  /** Erases proofs past their fence, and drops events `retentionMs` after their fence. */
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

  /** Sequence number of the newest event; `afterSeq` before the first. */
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

  /** The first event after `seq`; `gap` if it was dropped already, `end` if there is none yet. */
  readAfter(seq: number): ReadResult {
    const oldest = this.entries[0];
    const firstKept = oldest?.seq ?? this.nextSeq;
    // What a forgotten log contained is unknown, so the gap has no number and no session ids.
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

  /** Resolves at the next `append`, or when the signal aborts. */
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
   * Returns the sequence number after which the reader resumes. For an empty cursor, and for one of
   * another run of the server, the reader resumes at the oldest event. Throws a `Refusal` for a
   * malformed cursor or one beyond the newest event.
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
  if (fenceAtMs > nowMs || event.kind !== "outcome" || event.outcome.proof.length === 0) return;
  event.outcome.proof = new Uint8Array(0);
  event.outcome.proofErased = true;
}
