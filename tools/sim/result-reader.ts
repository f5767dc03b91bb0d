/**
 * A reader of one node's results, at its own pace. One kind follows the events; the resumed kind
 * opens anew each time, and names what it awaits with the groups that it has. Checks what a reader
 * may count on.
 */
import { create } from "@bufbuild/protobuf";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
  StreamResultsRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices } from "../../proto/bitlist.js";
import { askedOf, missingOf } from "../../server/rpc/awaited.js";
import type { NodeRecord, RequestRecord, ResultEvent } from "../../server/session/node-record.js";
import type { NodeEpochs } from "./work/group-source.js";
import type { Random } from "./random.js";
import type { VirtualClock } from "./virtual-clock.js";

export interface ResultReaderOptions {
  clock: VirtualClock;
  isResumed: boolean;
  random: Random;
  epochs: NodeEpochs;
}

export interface ReadOutcome {
  requestId: string;
  groupIndex: number;
  ending: string;
  participants: readonly number[];
  /** As it was when it was read. */
  outcome: Outcome;
  /** Inputs were left out so that the rest fits. */
  isCut: boolean;
}

/** For a new node: a reader that follows its events, and one that resumes. */
export function openReaders(
  nodeId: string,
  record: NodeRecord,
  options: Omit<ResultReaderOptions, "isResumed">,
): ResultReader[] {
  return [false, true].map(
    (isResumed) => new ResultReader(nodeId, record, { ...options, isResumed }),
  );
}

export class ResultReader {
  /** A line for each event, in the order of reading. */
  readonly seen: string[] = [];
  readonly outcomes: ReadOutcome[] = [];
  private seq = 0;
  /** Indices of the groups whose outcomes it has, by the request that it awaits. */
  private readonly awaited = new Map<string, number[]>();
  private readonly summarised = new Set<string>();
  private violations: string[] = [];

  constructor(
    readonly nodeId: string,
    private readonly record: NodeRecord,
    private readonly options: ResultReaderOptions,
  ) {
    // It never leaves: each run of the node reads from its start on.
    record.streams.add({
      get nodeEpoch() {
        return options.epochs.latestOf(nodeId);
      },
    });
    this.schedule();
  }

  get isResumed(): boolean {
    return this.options.isResumed;
  }

  /** The node has submitted this request: from now on the resumed kind names it. */
  awaits(requestId: string): void {
    this.awaited.set(requestId, this.awaited.get(requestId) ?? []);
  }

  /** Reads all that there is. */
  readAll(): void {
    if (this.isResumed) return this.open();
    for (;;) {
      const read = this.record.readAfter(this.seq);
      if (read === undefined) return;
      if (read === "behind") {
        this.violations.push("behind in a record that was read all along");
        return;
      }
      this.seq = read.seq;
      this.see(read.request, read.event);
    }
  }

  takeViolations(): string[] {
    const found = this.violations;
    this.violations = [];
    return found;
  }

  /** A stream that is opened, read until nothing is missing, and left. */
  private open(): void {
    const awaited = [...this.awaited].slice(0, 64).map(([requestId, receivedGroups]) => {
      return { requestId, receivedGroups };
    });
    const request = create(StreamResultsRequestSchema, { awaited });
    const asked = askedOf(request, this.record);
    for (const known of asked.known) {
      for (const event of missingOf(known, asked)) this.see(known, event);
    }
  }

  private schedule(): void {
    const { clock, random } = this.options;
    clock.at(clock.nowMs() + random.whole(1, 900), () => {
      this.readAll();
      this.schedule();
    });
  }

  private see({ requestId, fenceAtMs }: RequestRecord, event: ResultEvent): void {
    if (this.summarised.has(requestId)) {
      this.violations.push(`${requestId}: more after its summary`);
    }
    if (event.kind === "summary") {
      this.summarised.add(requestId);
      this.awaited.delete(requestId);
      this.seen.push(`${requestId} summary`);
      return;
    }
    this.awaited.get(requestId)?.push(event.outcome.groupIndex);
    if (event.outcome.proof.length > 0 && this.options.clock.nowMs() >= fenceAtMs) {
      this.violations.push(`${requestId}/${event.outcome.groupIndex}: proof bytes after the fence`);
    }
    this.take(requestId, event.outcome);
  }

  private take(requestId: string, outcome: Outcome): void {
    const { groupIndex, status, reason, attempt } = outcome;
    const ending = [OutcomeStatus[status], OutcomeReason[reason]].join(" ");
    this.seen.push(`${requestId} ${groupIndex} ${ending} ${attempt}`);
    const participants = bitsToIndices(outcome.participants);
    const isCut = outcome.leftOut.some(({ reason: why }) => why === LeftOutReason.SHED);
    this.outcomes.push({
      ...{ requestId, groupIndex, ending, participants, isCut },
      outcome: { ...outcome },
    });
  }
}
