/**
 * A reader of one node's results log, at its own pace; the resumed kind throws away where it stands
 * again and again and goes on from its last cursor. Knows what a reader may count on.
 */
import {
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices } from "../../proto/bitlist.js";
import type { LogEntry, ResultsLog } from "../../server/session/results-log.js";
import type { VirtualClock } from "./virtual-clock.js";

export interface LogReaderOptions {
  clock: VirtualClock;
  isResumed: boolean;
  readMs: () => number;
}

export interface ReadOutcome {
  sessionId: string;
  groupIndex: number;
  ending: string;
  participants: readonly number[];
  /** Inputs were left out so that the rest fits. */
  isCut: boolean;
}

export class LogReader {
  readonly seen: string[] = [];
  readonly outcomes: ReadOutcome[] = [];
  private seq = 0;
  private readonly summarised = new Set<string>();
  private violations: string[] = [];

  constructor(
    readonly nodeId: string,
    private readonly log: ResultsLog,
    private readonly options: LogReaderOptions,
  ) {
    this.schedule();
  }

  get isResumed(): boolean {
    return this.options.isResumed;
  }

  /** Everything that is there. */
  readAll(): void {
    for (;;) {
      const read = this.log.readAfter(this.seq);
      if (read.kind === "end") return;
      if (read.kind === "gap") {
        this.violations.push(`a gap in a log that was read all along: ${read.cause}`);
        this.seq = read.resumeSeq;
        continue;
      }
      this.see(read.entry);
      if (this.isResumed) this.seq = this.log.parseCursor(this.log.cursor(this.seq)).seq;
    }
  }

  takeViolations(): string[] {
    const found = this.violations;
    this.violations = [];
    return found;
  }

  private schedule(): void {
    const { clock, readMs } = this.options;
    clock.at(clock.nowMs() + readMs(), () => {
      this.readAll();
      this.schedule();
    });
  }

  private see({ seq, sessionId, event, fenceAtMs }: LogEntry): void {
    this.seq = seq;
    if (this.summarised.has(sessionId))
      this.violations.push(`${sessionId}: more after its summary`);
    if (event.kind === "summary") {
      this.summarised.add(sessionId);
      this.seen.push(`${seq} ${sessionId} summary`);
      return;
    }
    const { groupIndex, status, reason, proof, attempt } = event.outcome;
    if (proof.length > 0 && this.options.clock.nowMs() >= fenceAtMs) {
      this.violations.push(`${sessionId}/${groupIndex}: proof bytes after the fence`);
    }
    const ending = [OutcomeStatus[status], OutcomeReason[reason]].join(" ");
    this.seen.push(`${seq} ${sessionId} ${groupIndex} ${ending} ${attempt}`);
    const participants = bitsToIndices(event.outcome.participants);
    const isCut = event.outcome.leftOut.some(({ reason: why }) => why === LeftOutReason.SHED);
    this.outcomes.push({ sessionId, groupIndex, ending, participants, isCut });
  }
}
