/** The committed signature vectors, for tools and tests: `cli/example/votes.ts` reads them. */
import { join } from "node:path";
import type { GroupInit, KeyInit, SnapshotInit } from "../../cli/example/votes.js";
import { openVotes, snapshotOf, VOTES_FOLDER } from "../../cli/example/votes.js";

export type { GroupInit, KeyInit, SnapshotInit } from "../../cli/example/votes.js";
export { bits, tampered } from "../../cli/example/votes.js";

// Tests run from the package's root, as sources or compiled.
export const { groupsOfSlot, rootOf, publicKey, keyTable, dataOf, raw, raws, wrongLeafRaw, child } =
  openVotes(join(process.cwd(), VOTES_FOLDER));
export const validatorCount = 64;

export function snapshot(
  slot: number,
  groups: GroupInit[],
  keys: KeyInit[] = keyTable(),
): SnapshotInit {
  return snapshotOf(slot, groups, keys);
}
