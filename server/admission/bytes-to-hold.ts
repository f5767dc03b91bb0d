/** How much memory an accepted snapshot holds, for the memory budget and for quotas. */
import { limits } from "../limits.js";
import type { GroupWork } from "../work/group.js";
import { shapeOf } from "../work/shape.js";
import type { Submission } from "../work/submission.js";

/** Size of a validator index: a number in an array. */
const VALIDATOR_BYTES = 8;

/** Bytes of the snapshot, and of the claims and the result of every group that may be proved. */
export function bytesToHold({ bytes, groups }: Pick<Submission, "bytes" | "groups">): number {
  const mayBeProved = groups.filter(({ isOverLimit }) => !isOverLimit);
  return mayBeProved.reduce((sum, { work }) => sum + claimBytes(work) + resultBytes(work), bytes);
}

/** Each input has its own copy of its keys, of which the snapshot has one. */
function claimBytes({ raws, children }: GroupWork): number {
  return [raws, ...children].reduce(
    (sum, { keys, validators }) => sum + keys.length + validators.length * VALIDATOR_BYTES,
    0,
  );
}

/** A proof of the maximum size, and every input named as left out. */
function resultBytes(work: GroupWork): number {
  const { raws, children } = shapeOf(work);
  return limits.proofBytesMax + (raws + children + work.leftOut.length) * limits.leftOutBytes;
}
