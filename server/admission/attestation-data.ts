/** SSZ containers of leanSpec and the signed message of an attestation data. */
import { ByteVectorType, ContainerType, UintBigintType } from "@chainsafe/ssz";
import type {
  AttestationData,
  Checkpoint,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid } from "../errors.js";

const Bytes32 = new ByteVectorType(32);
const Uint64 = new UintBigintType(8);
const CheckpointSsz = new ContainerType({ root: Bytes32, slot: Uint64 });
const AttestationDataSsz = new ContainerType({
  slot: Uint64,
  head: CheckpointSsz,
  target: CheckpointSsz,
  source: CheckpointSsz,
});

/** XMSS leaf indices are u32; an attestation's slot is one. */
const LEAF_INDEX_MAX = 0xffff_ffffn;

/** `hash_tree_root(data)`; refuses missing parts, roots that are not 32 bytes and slots over u32. */
export function attestationDataRoot(data: AttestationData | undefined, field: string): Uint8Array {
  if (data === undefined) throw invalid(field, "is missing");
  if (data.slot > LEAF_INDEX_MAX) {
    throw invalid(
      `${field}.slot`,
      `is ${data.slot}, but XMSS leaf indices end at ${LEAF_INDEX_MAX}`,
    );
  }
  const root = AttestationDataSsz.hashTreeRoot({
    slot: data.slot,
    head: checkpoint(data.head, `${field}.head`),
    target: checkpoint(data.target, `${field}.target`),
    source: checkpoint(data.source, `${field}.source`),
  });
  // It is cut from a slab of 8 KiB, which an outcome that is kept would keep with it.
  return new Uint8Array(root);
}

/** Checks a checkpoint's shape. */
export function checkpoint(value: Checkpoint | undefined, field: string) {
  if (value === undefined) throw invalid(field, "is missing");
  if (value.root.length !== 32) {
    throw invalid(`${field}.root`, `has ${value.root.length} bytes, expected 32`);
  }
  return { root: value.root, slot: value.slot };
}
