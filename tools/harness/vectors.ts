/** The committed signature vectors, for tools and tests: `cli/example/votes.ts` reads them. */
import { join } from "node:path";
import type { GroupInit, KeyInit, SnapshotInit } from "../../cli/example/votes.js";
import { openVotes, snapshotOf, VOTES_FOLDER } from "../../cli/example/votes.js";

export type { GroupInit, KeyInit, SnapshotInit } from "../../cli/example/votes.js";
export { bits, tampered } from "../../cli/example/votes.js";

// Tests run from the package's root, as sources or compiled.
const votes = openVotes(join(process.cwd(), VOTES_FOLDER));
export const { groupsOfSlot, rootOf, publicKey, dataOf, raw, raws, wrongLeafRaw, child } = votes;
/** Those that sign attestations; the last of the votes' keys, with this index, is a proposer's. */
export const validatorCount = 64;
export const keyTable = (count = validatorCount) => votes.keyTable(count);

export function snapshot(
  slot: number,
  groups: GroupInit[],
  keys: KeyInit[] = keyTable(),
): SnapshotInit {
  return snapshotOf(slot, groups, keys);
}
