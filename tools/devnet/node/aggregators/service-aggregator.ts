/**
 * Modes `remote`, `sidecar` and `go`: an adapter of the project in front of the service, over TCP or
 * a Unix socket. All that a node has to write to use it, for its votes and for its blocks' proofs.
 */
import { BitArray } from "@chainsafe/ssz";
import type { Registry } from "prom-client";
import {
  TickAggregator,
  type SnapshotInit,
  type SubmitOptions,
  type TickResult,
} from "../../../../client/index.js";
import {
  OutcomeStatus,
  type AttestationData as WireData,
  type Outcome,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AttestationData, Checkpoint } from "../../chain/containers.js";
import type { VoteGroup } from "../../chain/freeze-votes.js";
import type { MessageClaim } from "../../crypto/crypto-client.js";
import type { SlotTime } from "../slot-time.js";
import {
  isPastFence,
  type Aggregator,
  type ProvedGroup,
  type SessionPriority,
  type Submission,
} from "./aggregator.js";
import { backlogDeadlineMs } from "./backlog-deadline.js";
import {
  keyOf,
  type BodyMerger,
  type KeyTables,
  type MergeAsk,
  type Merged,
} from "./body-merger.js";
import {
  endOf,
  mergedOf,
  mergeInit,
  mergeOptions,
  unmerged,
  wireCheckpoint,
  wireData,
} from "./service-merge.js";

const GATES = { isAggregator: true, hasState: true };

/** What a node uses of an adapter. */
export type ServiceAdapter = Pick<
  TickAggregator,
  "submitOrSkip" | "mergeOrSkip" | "takeResults" | "cancel" | "close"
>;

export interface SkippedSession {
  slot: number;
  priority: SessionPriority;
  reason: string;
}

export interface ServiceAggregatorModules {
  registry: Registry;
  /** Head and justified checkpoints at submission. */
  checkpoints(): { head: Checkpoint; justified: Checkpoint };
  verify(claims: readonly MessageClaim[], proof: Uint8Array): Promise<boolean>;
  /** Of what a session left unproved, and of what the adapter deals with. */
  onNews(text: string): void;
  /** A session was skipped after its submission; the adapter in Go does not say which. */
  onSkipped(session: SkippedSession): void;
  /** Default: a `TickAggregator`. */
  adapter?: ServiceAdapter;
}

export interface ServiceAggregatorOptions extends KeyTables {
  endpoint: string;
  nodeId: string;
  time: SlotTime;
  deadlineMs: number;
}

export class ServiceAggregator implements Aggregator, BodyMerger {
  readonly canReplace = true;
  readonly #adapter: ServiceAdapter;
  /** Sessions that the service may still skip, by request id. */
  readonly #sessions = new Map<string, Omit<SkippedSession, "reason">>();
  /** Merges in flight, by request id. */
  readonly #merges = new Map<string, MergeAsk>();
  #merged: Merged[] = [];
  #proved: ProvedGroup[] = [];

  constructor(
    private readonly options: ServiceAggregatorOptions,
    private readonly modules: ServiceAggregatorModules,
  ) {
    this.#adapter = modules.adapter ?? this.#tickAggregator();
  }

  #tickAggregator(): TickAggregator {
    const { options, modules } = this;
    return new TickAggregator({
      endpoints: options.endpoint,
      nodeId: options.nodeId,
      timeToFence: options.time,
      deadlineMs: options.deadlineMs,
      registry: modules.registry,
      verify: ({ participants, message, proof, claims }) => {
        if (claims.length > 0) return Promise.resolve(true); // the proposer's, who knows what it asked
        const keys = validatorsOf(participants).map((at) => keyOf(options.keys, at));
        return modules.verify([{ message, keys }], proof);
      },
      onError: (error) => modules.onNews(`adapter: ${error.message}`),
      onSkip: (reason, requestId) => this.#onSkip(reason, requestId),
    });
  }

  /**
   * Two sessions, each with a latch of its own: this slot's votes, which are worth their proof soon
   * or not at all, and those that came too late for their slot, as backlog with longer to start:
   * so many of a partition are proved, one by one, in what the first leaves of the prover.
   */
  submit(slot: number, snapshot: () => VoteGroup[]): Submission[] {
    const groups = snapshot();
    const older = groups.filter(({ data }) => data.slot < slot);
    const current = groups.filter(({ data }) => data.slot >= slot);
    const deadlineMs = backlogDeadlineMs(this.options.time, slot);
    return [
      ...this.#submit(slot, current, { priority: "aggregation" }),
      ...this.#submit(slot, older, { priority: "backlog", deadlineMs }),
    ];
  }

  take(currentSlot: number): ProvedGroup[] {
    this.#sort(currentSlot);
    return this.#proved.splice(0);
  }

  startMerge(ask: MergeAsk): string {
    const { options } = this;
    const slot = ask.signed === null ? ask.slot - 1 : ask.slot;
    const merge = () => ({ ...this.#seen(), ...mergeInit(ask, options) });
    const gates = { hasState: true };
    const answer = this.#adapter.mergeOrSkip(slot, gates, merge, mergeOptions(ask, options.time));
    if ("skipped" in answer) return answer.skipped;
    this.#merges.set(answer.requestId, ask);
    return "started";
  }

  takeMerged(currentSlot: number): Merged[] {
    this.#sort(currentSlot);
    return this.#merged.splice(0);
  }

  cancelMerge(ask: MergeAsk): void {
    for (const [requestId, each] of this.#merges) if (each === ask) this.#adapter.cancel(requestId);
  }

  close(): Promise<void> {
    return this.#adapter.close({ drainMs: 1000 });
  }

  /** Empty where there is nothing to submit. */
  #submit(
    slot: number,
    groups: VoteGroup[],
    options: SubmitOptions & { priority: SessionPriority },
  ): Submission[] {
    if (groups.length === 0) return [];
    const answer = this.#adapter.submitOrSkip(slot, GATES, () => this.#snapshot(groups), options);
    const { priority } = options;
    if ("skipped" in answer) return [{ priority, skipped: answer.skipped }];
    this.#sessions.set(answer.requestId, { slot, priority });
    return [{ priority, skipped: null }];
  }

  /** A merge that was submitted and then skipped has no result. */
  #onSkip(reason: string, requestId: string): void {
    const session = this.#sessions.get(requestId);
    if (session !== undefined) this.modules.onSkipped({ ...session, reason });
    const ask = this.#merges.get(requestId);
    this.#merges.delete(requestId);
    if (ask !== undefined) this.#merged.push(unmerged(ask, reason));
  }

  /** One adapter has the results of both duties. */
  #sort(currentSlot: number): void {
    for (const result of this.#adapter.takeResults(currentSlot)) {
      const ask = this.#merges.get(result.requestId);
      this.#merges.delete(result.requestId);
      if (ask !== undefined) this.#merged.push(mergedOf(ask, result));
      else if (isProof(result)) this.#proved.push(provedGroup(result.outcome));
      else this.modules.onNews(describe(result));
    }
    for (const [requestId, { slot }] of this.#sessions)
      if (isPastFence(slot, currentSlot)) this.#sessions.delete(requestId);
    // A proof past its fence has no result either.
    for (const [requestId, { slot }] of this.#merges)
      if (slot < currentSlot) this.#merges.delete(requestId);
  }

  #seen() {
    const { head, justified } = this.modules.checkpoints();
    return { head: wireCheckpoint(head), justified: wireCheckpoint(justified) };
  }

  #snapshot(groups: VoteGroup[]): SnapshotInit {
    return {
      ...this.#seen(),
      keys: this.options.keys.map((publicKey, validatorIndex) => ({ validatorIndex, publicKey })),
      groups: groups.map(({ data, message, raws, children }) => ({
        data: wireData(data),
        message,
        rawSignatures: raws.map(({ validator: validatorIndex, signature }) => ({
          validatorIndex,
          signature,
        })),
        children: children.map(({ participants, proof }) => ({
          participants: participants.uint8Array,
          proof,
        })),
      })),
    };
  }
}

function isProof(result: TickResult): result is TickResult & { kind: "outcome"; outcome: Outcome } {
  return (
    result.kind === "outcome" &&
    (result.outcome.status === OutcomeStatus.PROVED ||
      result.outcome.status === OutcomeStatus.PROVED_LATE)
  );
}

function provedGroup(outcome: Outcome): ProvedGroup {
  return {
    submittedSlot: Number(outcome.slot),
    data: chainData(outcome.data),
    participants: validatorsOf(outcome.participants),
    proof: outcome.proof,
    isLate: outcome.status === OutcomeStatus.PROVED_LATE,
  };
}

function describe(result: TickResult): string {
  if (result.kind !== "outcome") return `group ${result.groupIndex}: ${result.kind}`;
  return `group ${result.outcome.groupIndex}: ${endOf(result.outcome)}`;
}

function validatorsOf(participants: Uint8Array): number[] {
  return new BitArray(participants, participants.length * 8).getTrueBitIndexes();
}

function chainData(data: WireData | undefined): AttestationData {
  if (data?.head === undefined || data.target === undefined || data.source === undefined)
    throw new Error("the service sent an outcome without its attestation data");
  const checkpoint = ({ root, slot }: { root: Uint8Array; slot: bigint }) => ({
    root,
    slot: Number(slot),
  });
  const { head, target, source } = data;
  const checkpoints = { head: checkpoint(head), target: checkpoint(target) };
  return { slot: Number(data.slot), ...checkpoints, source: checkpoint(source) };
}
