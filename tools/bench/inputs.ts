/** What the measurements submit, from the committed vectors. */
import { dataOf, keyTable, raws, tampered, validatorCount } from "../harness/vectors.js";
import type { GroupInit, SnapshotInit } from "../harness/vectors.js";

/** Of the attestation data whose votes are proved: groups 0 and 4 have votes of all validators. */
export const PROVABLE = [0, 4] as const;

/** A block carries at most 8 distinct attestation data. */
const GROUPS = 8;
/** A signature, its index and the tags of both. */
const VOTE_BYTES = 2412;

export const SLOT = 100;

/** The first so many validators' votes for one attestation data. */
export function provableGroup(vector: number, count: number): GroupInit {
  return { data: dataOf(vector), rawSignatures: raws(vector, 0, count) };
}

/** A snapshot whose key table is what the groups need and no more. */
export function snapshotOf(groups: GroupInit[], validators = validatorCount): SnapshotInit {
  const head = { root: new Uint8Array(32).fill(1), slot: BigInt(SLOT) };
  const keys = keyTable(validators);
  return { slot: BigInt(SLOT), head, justified: head, keys, groups };
}

/**
 * A snapshot of about so many bytes that costs no proof: 8 attestation data with equally many
 * votes each, every one at the right leaf and none of them valid.
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
  return snapshotOf(groups, perGroup);
}
