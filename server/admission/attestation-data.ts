/** The message that validators sign for an attestation data, by the SSZ containers of leanSpec. */
import { create } from "@bufbuild/protobuf";
import { ByteVectorType, ContainerType, UintBigintType } from "@chainsafe/ssz";
import type {
  AttestationData,
  Checkpoint,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AttestationDataSchema,
  CheckpointSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid } from "../errors.js";
import { wrongLength } from "./byte-lengths.js";

const Bytes32 = new ByteVectorType(32);
const Uint64 = new UintBigintType(8);
const CheckpointSsz = new ContainerType({ root: Bytes32, slot: Uint64 });
const AttestationDataSsz = new ContainerType({
  slot: Uint64,
  head: CheckpointSsz,
  target: CheckpointSsz,
  source: CheckpointSsz,
});

/** The slot of an attestation is an XMSS leaf index, which is a u32. */
const LEAF_INDEX_MAX = 0xffff_ffffn;

/**
 * `hash_tree_root(data)`, 32 bytes. Throws a `Refusal` that names `field` when a part is missing, a
 * root is not 32 bytes, or the slot is over u32.
 */
export function attestationDataRoot(data: AttestationData | undefined, field: string): Uint8Array {
  const root = AttestationDataSsz.hashTreeRoot(checkedData(data, field));
  // Copied: `root` is a view of an 8 KiB buffer, all of which a retained outcome would keep.
  return new Uint8Array(root);
}

/** The parts of an attestation data. Throws a `Refusal` as `attestationDataRoot`; hashes nothing. */
export function checkedData(data: AttestationData | undefined, field: string) {
  if (data === undefined) throw invalid(field, "is missing");
  checkLeafIndex(data.slot, `${field}.slot`);
  return {
    slot: data.slot,
    head: checkpoint(data.head, `${field}.head`),
    target: checkpoint(data.target, `${field}.target`),
    source: checkpoint(data.source, `${field}.source`),
  };
}

/** Throws a `Refusal` for a slot that no signature can have. */
export function checkLeafIndex(slot: bigint, field: string): void {
  if (slot <= LEAF_INDEX_MAX) return;
  throw invalid(field, `is ${slot}, but XMSS leaf indices end at ${LEAF_INDEX_MAX}`);
}

/**
 * Throws a `Refusal` when `given`, the message that the caller sent, is not the computed root. An
 * empty message is accepted.
 */
export function checkGivenMessage(given: Uint8Array, root: Uint8Array, field: string): void {
  if (given.length === 0) return;
  if (given.length !== 32) throw invalid(field, wrongLength(given, 32));
  if (Buffer.compare(given, root) !== 0) {
    const expected = Buffer.from(root).toString("hex");
    throw invalid(field, `is not hash_tree_root(data), which is ${expected}`);
  }
}

/**
 * A copy, which keeps nothing of the request in memory: of each message only the fields that it has here.
 */
export function copyData({ slot, head, target, source }: AttestationData): AttestationData {
  const copy = (point: Checkpoint | undefined) =>
    create(CheckpointSchema, point && { root: point.root.slice(), slot: point.slot });
  return create(AttestationDataSchema, {
    slot,
    head: copy(head),
    target: copy(target),
    source: copy(source),
  });
}

/** Returns the checkpoint. Throws a `Refusal` when it is missing or its root is not 32 bytes. */
export function checkpoint(value: Checkpoint | undefined, field: string) {
  if (value === undefined) throw invalid(field, "is missing");
  if (value.root.length !== 32) {
    throw invalid(`${field}.root`, wrongLength(value.root, 32));
  }
  return { root: value.root, slot: value.slot };
}
