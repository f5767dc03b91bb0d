/**
 * Modes `remote`, `sidecar` and `go`: an adapter of the project in front of the service, over TCP or
 * a Unix socket. All that a node has to write to use it.
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
import type { SlotTime } from "../slot-time.js";
import type { Aggregator, ProvedGroup } from "./aggregator.js";

/**
 * From interval 2 to interval 4: what is started by then is done when the next slot's votes are due.
 * Where provers do not share their cores with the voters, it may be all of the time to the fence.
 */
const BACKLOG_INTERVALS = 2;

/** What a node uses of an adapter. */
export type ServiceAdapter = Pick<TickAggregator, "submitOrSkip" | "takeResults" | "close">;

export interface ServiceAggregatorModules {
  registry: Registry;
  /** Head and justified checkpoints at submission. */
  checkpoints(): { head: Checkpoint; justified: Checkpoint };
  verify(keys: readonly Uint8Array[], message: Uint8Array, proof: Uint8Array): Promise<boolean>;
  /** Of what a session left unproved, and of what the adapter deals with. */
  onNews(text: string): void;
  /** Default: a `TickAggregator`. */
  adapter?: ServiceAdapter;
}

export class ServiceAggregator implements Aggregator {
  readonly #adapter: ServiceAdapter;

  constructor(
    private readonly options: {
      endpoint: string;
      nodeId: string;
      time: SlotTime;
      deadlineMs: number;
      keys: readonly Uint8Array[];
    },
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
      verify: ({ participants, message, proof }) => {
        const keys = validatorsOf(participants).map((at) => options.keys[at] ?? new Uint8Array());
        return modules.verify(keys, message, proof);
      },
      onError: (error) => modules.onNews(`adapter: ${error.message}`),
    });
  }

  /**
   * Two sessions, each with a latch of its own: this slot's votes, which are worth their proof soon
   * or not at all, and those that came too late for their slot, as backlog with longer to start:
   * so many of a partition are proved, one by one, in what the first leaves of the prover.
   */
  submit(slot: number, snapshot: () => VoteGroup[]): string {
    const groups = snapshot();
    const older = groups.filter(({ data }) => data.slot < slot);
    const current = groups.filter(({ data }) => data.slot >= slot);
    const { slotMs, intervals } = this.options.time;
    const deadlineMs = BACKLOG_INTERVALS * (slotMs / intervals);
    const backlog = { priority: "backlog", deadlineMs } as const;
    const answers = [this.#submit(slot, current, {}), this.#submit(slot, older, backlog)];
    return answers.find((answer) => answer === "submitted") ?? answers.find(Boolean) ?? "";
  }

  take(currentSlot: number): ProvedGroup[] {
    return this.#adapter.takeResults(currentSlot).flatMap((result) => {
      if (isProof(result)) return [provedGroup(result.outcome)];
      this.modules.onNews(describe(result));
      return [];
    });
  }

  close(): Promise<void> {
    return this.#adapter.close({ drainMs: 1000 });
  }

  /** Empty where there is nothing to submit. */
  #submit(slot: number, groups: VoteGroup[], options: SubmitOptions): string {
    if (groups.length === 0) return "";
    const gates = { isAggregator: true, hasState: true };
    const answer = this.#adapter.submitOrSkip(slot, gates, () => this.#snapshot(groups), options);
    return "skipped" in answer ? answer.skipped : "submitted";
  }

  #snapshot(groups: VoteGroup[]): SnapshotInit {
    const { head, justified } = this.modules.checkpoints();
    return {
      head: wireCheckpoint(head),
      justified: wireCheckpoint(justified),
      keys: this.options.keys.map((publicKey, validatorIndex) => ({ validatorIndex, publicKey })),
      groups: groups.map(({ data, message, raws, children }) => ({
        data: {
          slot: BigInt(data.slot),
          head: wireCheckpoint(data.head),
          target: wireCheckpoint(data.target),
          source: wireCheckpoint(data.source),
        },
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
  const { groupIndex, status, detail } = result.outcome;
  return `group ${groupIndex}: ${OutcomeStatus[status].toLowerCase()} ${detail}`.trim();
}

function validatorsOf(participants: Uint8Array): number[] {
  return new BitArray(participants, participants.length * 8).getTrueBitIndexes();
}

const wireCheckpoint = ({ root, slot }: Checkpoint) => ({ root, slot: BigInt(slot) });

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
