/** The message that validators sign for an attestation data, by the SSZ containers of leanSpec. */
import { ByteVectorType, ContainerType, UintBigintType } from "@chainsafe/ssz";
import type {
  AttestationData,
  Checkpoint,
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
  // Copied: `root` is a view of an 8 KiB buffer, all of which a retained outcome would keep.
  return new Uint8Array(root);
}

/** Returns the checkpoint. Throws a `Refusal` when it is missing or its root is not 32 bytes. */
export function checkpoint(value: Checkpoint | undefined, field: string) {
  if (value === undefined) throw invalid(field, "is missing");
  if (value.root.length !== 32) {
    throw invalid(`${field}.root`, wrongLength(value.root, 32));
  }
  return { root: value.root, slot: value.slot };
}
