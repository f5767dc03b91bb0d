/** A merge as the service takes it and gives it back. Pure. */
import type { MergeInit, MergeOptions, TickResult } from "../../../../client/index.js";
import {
  KeyRole,
  OutcomeReason,
  OutcomeStatus,
  type Outcome,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AttestationData, Checkpoint } from "../../chain/containers.js";
import { dueUnixMs, type SlotTime } from "../slot-time.js";
import type { KeyTables, MergeAsk, Merged } from "./body-merger.js";

/** The reason of a skip. */
const MISS = "predicted_miss";

export const wireCheckpoint = ({ root, slot }: Checkpoint) => ({ root, slot: BigInt(slot) });

export const wireData = ({ slot, head, target, source }: AttestationData) => ({
  slot: BigInt(slot),
  head: wireCheckpoint(head),
  target: wireCheckpoint(target),
  source: wireCheckpoint(source),
});

/** The body's proofs in its order, then the proposer's signature of the block's root. */
export function mergeInit(
  { slot, body, signed }: MergeAsk,
  { keys, proposalKeys }: KeyTables,
): Pick<MergeInit, "keys" | "components"> {
  const tableOf = (table: readonly Uint8Array[], role: KeyRole) =>
    table.map((publicKey, validatorIndex) => ({ validatorIndex, publicKey, role }));
  const proofs = body.map(({ data, participants, proof }) => ({
    data: wireData(data),
    participants: participants.uint8Array,
    proof,
  }));
  if (signed === null) return { keys: tableOf(keys, KeyRole.ATTESTATION), components: proofs };
  const { root, validator: validatorIndex, signature } = signed;
  const own = { root, slot, role: KeyRole.PROPOSAL, signatures: [{ validatorIndex, signature }] };
  return {
    keys: [...tableOf(keys, KeyRole.ATTESTATION), ...tableOf(proposalKeys, KeyRole.PROPOSAL)],
    components: [...proofs, own],
  };
}

/**
 * A body is of use until its slot starts, and the next candidate replaces one that is in flight; a
 * block proof is of use within its slot, and more urgent than votes.
 */
export function mergeOptions({ slot, signed }: MergeAsk, time: SlotTime): MergeOptions {
  const startUnixMs = dueUnixMs(time, slot * time.intervals);
  const endUnixMs = signed === null ? startUnixMs : startUnixMs + time.slotMs;
  const fenceMs = Math.max(0, Math.floor(endUnixMs - Date.now()));
  return { priority: signed === null ? "aggregation" : "proposal", mayReplace: true, fenceMs };
}

/** Why a merge is not started, where a smaller one may be. */
const ofSize: readonly OutcomeReason[] = [
  OutcomeReason.PREDICTED_MISS,
  OutcomeReason.DEADLINE,
  OutcomeReason.MEMORY,
];

export function mergedOf(ask: MergeAsk, result: TickResult): Merged {
  if (result.kind !== "outcome") return unmerged(ask, result.kind);
  const { status, reason, proof, proveMs, leftOut } = result.outcome;
  const isProved = status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE;
  if (isProved) return { ask, end: "proved", proof, proveMs, detail: "", bad: [] };
  const bad = leftOut.flatMap(({ input }) => (input.case === "componentIndex" ? input.value : []));
  const isNotStarted = status === OutcomeStatus.NOT_STARTED;
  const failed = { ...unmerged(ask, endOf(result.outcome)), bad };
  if (isNotStarted && reason === OutcomeReason.SUPERSEDED) return { ...failed, end: "superseded" };
  return isNotStarted && ofSize.includes(reason) ? { ...failed, end: "missed" } : failed;
}

/** How a group without a proof ended, in words. */
export function endOf({ status, reason, detail }: Outcome): string {
  const why = reason === OutcomeReason.UNSPECIFIED ? "" : OutcomeReason[reason].toLowerCase();
  return [OutcomeStatus[status].toLowerCase(), why, detail].filter(Boolean).join(" ");
}

export const unmerged = (ask: MergeAsk, detail: string): Merged => ({
  ask,
  end: detail === MISS ? "missed" : "failed",
  proof: null,
  proveMs: 0,
  detail,
  bad: [],
});
