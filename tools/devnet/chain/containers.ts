/**
 * The SSZ containers of the devnet's chain: leanSpec's, less what a devnet of honest proposers does
 * not need (the registry inside the state). Votes, aggregates and
 * blocks travel as these; roots are `hash_tree_root` of these.
 */
import {
  BitArray,
  BitListType,
  ByteListType,
  ByteVectorType,
  ContainerType,
  ListCompositeType,
  UintNumberType,
  type ValueOf,
} from "@chainsafe/ssz";

/** leanSpec's registry limit. */
const VALIDATORS_MAX = 4096;
const HISTORY_SLOTS_MAX = 2 ** 18;
const PROOF_BYTES_MAX = 512 * 1024;
/** Above every signature size seen so far; the scheme decides the real one. */
const SIGNATURE_BYTES_MAX = 4096;
/** Entries of a block body: up to 8 attestation data, a few proofs of each. */
const ATTESTATIONS_MAX = 64;
/** Blocks in one answer to a peer that is behind. */
const SYNC_BLOCKS_MAX = 4096;

const Bytes32 = new ByteVectorType(32);
const Uint64 = new UintNumberType(8);

export const CheckpointSsz = new ContainerType({ root: Bytes32, slot: Uint64 });
export const AttestationDataSsz = new ContainerType({
  slot: Uint64,
  head: CheckpointSsz,
  target: CheckpointSsz,
  source: CheckpointSsz,
});
const AggregationBits = new BitListType(VALIDATORS_MAX);
const Proof = new ByteListType(PROOF_BYTES_MAX);

/** One validator's signed vote, as gossiped. */
export const VoteSsz = new ContainerType({
  validatorIndex: Uint64,
  data: AttestationDataSsz,
  signature: new ByteListType(SIGNATURE_BYTES_MAX),
});
/** Who voted for a data, and the proof of it, as gossiped. */
export const AggregateSsz = new ContainerType({
  data: AttestationDataSsz,
  participants: AggregationBits,
  proof: Proof,
});
/** An aggregate as a block names it: its proof travels beside the block. */
const AttestationSsz = new ContainerType({
  participants: AggregationBits,
  data: AttestationDataSsz,
});
export const BlockSsz = new ContainerType({
  slot: Uint64,
  proposerIndex: Uint64,
  parentRoot: Bytes32,
  stateRoot: Bytes32,
  body: new ContainerType({
    attestations: new ListCompositeType(AttestationSsz, ATTESTATIONS_MAX),
  }),
});
/**
 * Proofs in the order of the body's attestations, or one proof of the whole body; none for a finalized
 * block sent to a peer. The proposer's signature of the block's root, empty where blocks are unsigned.
 */
export const BlockWithProofsSsz = new ContainerType({
  block: BlockSsz,
  proofs: new ListCompositeType(Proof, ATTESTATIONS_MAX),
  signature: new ByteListType(SIGNATURE_BYTES_MAX),
});
export const BlocksSsz = new ListCompositeType(BlockWithProofsSsz, SYNC_BLOCKS_MAX);
export const SyncRequestSsz = new ContainerType({ afterSlot: Uint64 });
export const HelloSsz = new ContainerType({ node: Uint64 });

/** What `stateRoot` is the root of. */
export const StateSsz = new ContainerType({
  slot: Uint64,
  latestJustified: CheckpointSsz,
  latestFinalized: CheckpointSsz,
  historicalBlockHashes: new ListCompositeType(Bytes32, HISTORY_SLOTS_MAX),
  justifiedSlots: new BitListType(HISTORY_SLOTS_MAX),
  justificationsRoots: new ListCompositeType(Bytes32, HISTORY_SLOTS_MAX),
  justificationsValidators: new BitListType(HISTORY_SLOTS_MAX * VALIDATORS_MAX),
});

export type Checkpoint = ValueOf<typeof CheckpointSsz>;
export type AttestationData = ValueOf<typeof AttestationDataSsz>;
export type Vote = ValueOf<typeof VoteSsz>;
export type Aggregate = ValueOf<typeof AggregateSsz>;
export type Attestation = ValueOf<typeof AttestationSsz>;
export type Block = ValueOf<typeof BlockSsz>;
export type BlockWithProofs = ValueOf<typeof BlockWithProofsSsz>;

/** A root as a map's key. */
export type RootHex = string;
export const hex = (root: Uint8Array): RootHex => Buffer.from(root).toString("hex");

/** The message that validators sign. */
export const messageOf = (data: AttestationData): Uint8Array =>
  AttestationDataSsz.hashTreeRoot(data);
export const blockRoot = (block: Block): Uint8Array => BlockSsz.hashTreeRoot(block);

/** Validator indices to bits, as long as the highest index asks. */
export function participantsOf(validators: Iterable<number>): BitArray {
  const members = new Set(validators);
  const length = Math.max(-1, ...members) + 1;
  return BitArray.fromBoolArray(Array.from({ length }, (_, index) => members.has(index)));
}
