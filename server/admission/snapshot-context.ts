/** What the groups of a snapshot share while they are decoded. */
import type { SszBitlist } from "../../proto/bitlist.js";
import type { KeyTables } from "./key-table.js";
import type { SnapshotLimits } from "./snapshot-limits.js";

/** What the request says about all groups of its snapshot. */
export interface SnapshotAsk {
  /** log2 of the proof system's inverse rate. */
  logInvRate: number;
  /** The number of the request's priority. */
  priority: number;
}

export interface SnapshotContext extends SnapshotAsk {
  /** Slot in which the snapshot is submitted. */
  slot: bigint;
  keys: KeyTables;
  limits: SnapshotLimits;
  /** Whether participants are SSZ bitlists, with their length bit. */
  isSsz: boolean;
}

/** Length of the longest of a snapshot's SSZ bitlists; undefined for bits alone. */
export function longestOf(
  lists: readonly SszBitlist[],
  { isSsz }: Pick<SnapshotContext, "isSsz">,
): number | undefined {
  if (!isSsz) return undefined;
  return lists.reduce((max, { length }) => Math.max(max, length), 0);
}
