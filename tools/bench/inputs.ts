/** The snapshots of the measurements, made from the committed vectors. */
import { dataOf, keyTable, raws, tampered, validatorCount } from "../harness/vectors.js";
import type { GroupInit, SnapshotInit } from "../harness/vectors.js";

/** Indexes of the vectors' groups whose votes are proved: all validators signed them. */
export const PROVABLE = [0, 4] as const;

/** A block carries at most 8 distinct attestation data. */
const GROUPS = 8;
/** Encoded size of a vote: a signature, the validator's index, and the tags of both. */
const VOTE_BYTES = 2412;

export const SLOT = 100;

/** A group of the vectors with the votes of its first `count` validators. */
export function provableGroup(vector: number, count: number): GroupInit {
  return { data: dataOf(vector), rawSignatures: raws(vector, 0, count) };
}

/** A snapshot with the keys of the first `validators` validators. */
export function snapshotOf(groups: GroupInit[], validators = validatorCount): SnapshotInit {
  const head = { root: new Uint8Array(32).fill(1), slot: BigInt(SLOT) };
  const keys = keyTable(validators);
  return { slot: BigInt(SLOT), head, justified: head, keys, groups };
}

/**
 * A snapshot of about `bytes` bytes that causes no proof: 8 attestation data with equally many
 * votes each. Every vote has the right leaf index and an invalid signature.
 */
export function unprovableSnapshot(bytes: number): SnapshotInit {
  const perGroup = Math.min(validatorCount, Math.max(1, Math.round(bytes / GROUPS / VOTE_BYTES)));
  const groups = Array.from({ length: GROUPS }, (_, group) => ({
    data: { ...dataOf(0), head: { root: new Uint8Array(32).fill(group), slot: BigInt(SLOT) } },
    rawSignatures: raws(0, 0, perGroup).map(({ validatorIndex, signature }) => ({
      validatorIndex,
      signature: tampered(signature),
    })),
  }));
  // One signature of the fake prover's length: a snapshot is refused when none has the right one.
  groups[0]?.rawSignatures.push({ validatorIndex: 0, signature: new Uint8Array(64) });
  return snapshotOf(groups, perGroup);
}
