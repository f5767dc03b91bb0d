/** How much memory an accepted snapshot holds, for the memory budget and for quotas. */
import { limits } from "../limits.js";
import type { GroupWork } from "../work/group.js";
import { inputsOf, mayStart } from "../work/group.js";
import { namedBytes } from "../work/claim-bytes.js";
import { shapeOf } from "../work/shape.js";
import type { Submission } from "../work/submission.js";

/** Memory of one validator index, as an element of an array of numbers. */
const VALIDATOR_BYTES = 8;

/**
 * Bytes to reserve for a snapshot: the snapshot itself and, for every group that may be proved, its
 * copies of public keys and the largest result.
 */
export function bytesToHold({ bytes, groups }: Pick<Submission, "bytes" | "groups">): number {
  const mayBeProved = groups.filter(mayStart);
  const named = groups.reduce((sum, group) => sum + namedBytes(group), bytes);
  return mayBeProved.reduce((sum, { work }) => sum + claimBytes(work) + resultBytes(work), named);
}

/**
 * Bytes of the public keys and validator indices of a group's inputs. Its raw signatures together,
 * and each child, have their own copy of the keys; the snapshot has each key once.
 */
function claimBytes(work: GroupWork): number {
  const { raws, children } = inputsOf(work);
  return [...raws, ...children].reduce(
    (sum, { keys, validators }) => sum + keys.length + validators.length * VALIDATOR_BYTES,
    0,
  );
}

/** Bytes of the largest result: a proof of the maximum size, and every input named as left out. */
function resultBytes(work: GroupWork): number {
  const { raws, children } = shapeOf(work);
  return limits.proofBytesMax + (raws + children) * limits.leftOutBytes;
}
