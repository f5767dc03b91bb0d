/**
 * A node that submits the votes of each slot to the first of its doors that is up, by the adapter,
 * and keeps account of them: which were proved, and by when.
 */
import { performance } from "node:perf_hooks";
import { TickAggregator } from "../../client/index.js";
import type { SnapshotInit, TickResult } from "../../client/index.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { OutcomeReason, OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const TICK_MS = 20;
const GATES = { isAggregator: true, hasState: true };

export interface VotesNodeOptions {
  readonly id: string;
  /** Addresses of the doors, in their order. */
  readonly doors: readonly string[];
  readonly slotMs: number;
  readonly deadlineMs: number;
  readonly fenceMs: number;
  /** The snapshot of a slot; its groups have `votesOfGroup` votes each. */
  snapshot(slot: number): SnapshotInit;
  readonly votesOfGroup: number;
  /** Called with each result that the node takes. */
  onResult?(slot: number, result: TickResult, tookMs: number): void;
}

/** What became of the votes of one slot. */
export interface SlotAccount {
  readonly slot: number;
  readonly submittedAtMs: number;
  votes: number;
  proved: number;
  /** Groups that ended in another way, with how. */
  readonly otherwise: string[];
  /** Groups that ended more than once. */
  doubled: number;
  /** Why the slot's snapshot was not taken; undefined: it was. */
  skipped: string | undefined;
  /** From the submission to the slot's last proof. */
  lastProofMs: number;
}

export class VotesNode {
  readonly accounts: SlotAccount[] = [];
  /** Longest call of the adapter in a tick, in milliseconds. */
  longestCallMs = 0;
  private readonly adapter: TickAggregator;
  private readonly slots = new Map<string, SlotAccount>();
  private readonly ended = new Set<string>();
  private slot = 0;
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(private readonly options: VotesNodeOptions) {
    const { id, doors, fenceMs, deadlineMs } = options;
    this.adapter = new TickAggregator({
      endpoints: doors,
      nodeId: id,
      deadlineMs,
      timeToFence: () => fenceMs,
      onError: () => undefined, // the accounts show what an error costs
      onSkip: (reason, requestId) => this.skipped(requestId, reason),
    });
    this.timers.push(setInterval(() => this.take(), TICK_MS));
  }

  /** Submits a snapshot now and one for each slot from then on. */
  start(): void {
    this.submit();
    this.timers.push(setInterval(() => this.submit(), this.options.slotMs));
  }

  /** Submits nothing more; resolves when what is in flight has ended, at its fence at the latest. */
  async stop(): Promise<void> {
    for (const timer of this.timers.slice(1)) clearInterval(timer);
    await this.adapter.close({ drainMs: this.options.fenceMs + 500 });
    this.take();
    clearInterval(this.timers[0]);
  }

  private submit(): void {
    const { options } = this;
    const slot = ++this.slot;
    const snapshot = options.snapshot(slot);
    const groups = snapshot.groups?.length ?? 0;
    const account: SlotAccount = {
      slot,
      submittedAtMs: performance.now(),
      votes: groups * options.votesOfGroup,
      proved: 0,
      otherwise: [],
      doubled: 0,
      skipped: undefined,
      lastProofMs: 0,
    };
    this.accounts.push(account);
    const answer = this.adapter.submitOrSkip(slot, GATES, () => snapshot);
    this.measure(account.submittedAtMs);
    if ("skipped" in answer) account.skipped = answer.skipped;
    else this.slots.set(answer.requestId, account);
  }

  private take(): void {
    const startMs = performance.now();
    const results = this.adapter.takeResults(0);
    this.measure(startMs);
    for (const result of results) this.count(result);
  }

  private count(result: TickResult): void {
    const account = this.slots.get(result.requestId);
    if (account === undefined) return;
    const tookMs = performance.now() - account.submittedAtMs;
    const group = `${result.requestId} ${result.groupIndex}`;
    if (this.ended.has(group)) account.doubled++;
    this.ended.add(group);
    if (result.kind === "outcome" && result.outcome.proof.length > 0) {
      account.proved += (result.outcome.votes?.proved ?? []).reduce((sum, votes) => sum + votes, 0);
      account.lastProofMs = tookMs;
    } else {
      account.otherwise.push(result.kind === "outcome" ? howEnded(result.outcome) : result.kind);
    }
    this.options.onResult?.(account.slot, result, tookMs);
  }

  private skipped(requestId: string, reason: string): void {
    const account = this.slots.get(requestId);
    if (account !== undefined) account.skipped = reason;
  }

  private measure(startMs: number): void {
    this.longestCallMs = Math.max(this.longestCallMs, performance.now() - startMs);
  }
}

/** Such as "stopped: fence", or with its detail where the outcome has one. */
function howEnded({ status, reason, detail }: Outcome): string {
  const names = [OutcomeStatus[status], reason === 0 ? undefined : OutcomeReason[reason], detail];
  const texts = names.flatMap((text) => (text === undefined || text === "" ? [] : [text]));
  return texts.map((text) => (text === detail ? text : text.toLowerCase())).join(": ");
}
