/** How much memory an accepted snapshot holds, for the memory budget and for quotas. */
import { limits } from "../limits.js";
import type { DecodedGroup, GroupWork } from "../work/group.js";
import { inputsOf, mayStart } from "../work/group.js";
import { keptBytesMin, NUMBER_BYTES } from "../work/outcome-bytes.js";
import { shapeOf } from "../work/shape.js";
import type { Submission } from "../work/submission.js";

/** A bit for each validator and a length bit. */
const PARTICIPANTS_BYTES = Math.ceil((limits.validatorsMax + 1) / 8);

/**
 * Bytes to reserve for a snapshot: the snapshot itself, its record, for every group the outcome, and, for
 * every group that may be proved, its copies of public keys and the largest result. Its session never
 * holds more, however it ends.
 */
export function bytesToHold({ bytes, groups }: Pick<Submission, "bytes" | "groups">): number {
  return groups.reduce((sum, group) => sum + bytesOfGroup(group), bytes + limits.recordBytes);
}

function bytesOfGroup(group: DecodedGroup): number {
  const bytes = limits.groupBytes + keptBytesMin(group);
  return mayStart(group) ? bytes + claimBytes(group.work) + resultBytes(group.work) : bytes;
}

/**
 * Bytes of the public keys and validator indices of a group's inputs. Its raw signatures together,
 * and each child, have their own copy of the keys; the snapshot has each key once.
 */
function claimBytes(work: GroupWork): number {
  const { raws, children } = inputsOf(work);
  return [...raws, ...children].reduce(
    (sum, { keys, validators }) => sum + keys.length + validators.length * NUMBER_BYTES,
    0,
  );
}

/**
 * Bytes of the largest result: a proof of the maximum size, every input named as left out, the
 * validators that the proof covers and the children in it. The detail of a failure takes less.
 */
function resultBytes(work: GroupWork): number {
  const { raws, children } = shapeOf(work);
  const covered = PARTICIPANTS_BYTES + children * NUMBER_BYTES;
  return limits.proofBytesMax + (raws + children) * limits.leftOutBytes + covered;
}
