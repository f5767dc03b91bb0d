/** Head, safe target and vote target by latest votes (LMD GHOST), as leanSpec has them. Pure. */
import { hex, type Checkpoint, type RootHex } from "./containers.js";
import { isJustifiableAfter, isSupermajority } from "./justification.js";

/** How far behind the head a vote's target may look for the safe target. */
const TARGET_LOOKBACK_STEPS = 3;

/** A block as the fork choice sees it. */
export interface ForkBlock {
  root: Uint8Array;
  slot: number;
  parent: RootHex;
}
export type ForkBlocks = ReadonlyMap<RootHex, ForkBlock>;

/** The latest vote of each validator: the head that it saw, and when. */
export type LatestVotes = ReadonlyMap<number, { slot: number; head: RootHex }>;

/** The heaviest descendant of the justified block; the higher root where weights are equal. */
export function chooseHead(blocks: ForkBlocks, justified: RootHex, votes: LatestVotes): RootHex {
  return descend(blocks, justified, votes, () => true);
}

/** The last block on the heaviest chain that two thirds of the validators have voted for. */
export function chooseSafeTarget(
  blocks: ForkBlocks,
  justified: RootHex,
  votes: LatestVotes,
  validators: number,
): RootHex {
  return descend(blocks, justified, votes, (weight) => isSupermajority(weight, validators));
}

function descend(
  blocks: ForkBlocks,
  justified: RootHex,
  votes: LatestVotes,
  isEnough: (weight: number) => boolean,
): RootHex {
  const floor = blocks.get(justified)?.slot ?? 0;
  const weights = new Map<RootHex, number>();
  for (const { head } of votes.values()) {
    let at = blocks.get(head);
    while (at !== undefined && at.slot > floor) {
      weights.set(hex(at.root), (weights.get(hex(at.root)) ?? 0) + 1);
      at = blocks.get(at.parent);
    }
  }
  const children = new Map<RootHex, RootHex[]>();
  for (const [root, { parent }] of blocks)
    children.set(parent, [...(children.get(parent) ?? []), root]);
  const weigh = (root: RootHex) => weights.get(root) ?? 0;
  let head = justified;
  for (;;) {
    const [best] = (children.get(head) ?? [])
      .filter((child) => isEnough(weigh(child)))
      .sort((a, b) => weigh(b) - weigh(a) || (a < b ? 1 : -1));
    if (best === undefined) return head;
    head = best;
  }
}

/** What a vote should ask to justify: near the safe target, at a slot that may be justified. */
export function chooseTarget(
  blocks: ForkBlocks,
  head: RootHex,
  safeTarget: RootHex,
  latest: { justified: Checkpoint; finalized: Checkpoint },
): Checkpoint {
  const safeSlot = blocks.get(safeTarget)?.slot ?? 0;
  let at = blocks.get(head);
  for (let step = 0; step < TARGET_LOOKBACK_STEPS && at !== undefined && at.slot > safeSlot; step++)
    at = blocks.get(at.parent);
  while (at !== undefined && !isJustifiableAfter(at.slot, latest.finalized.slot))
    at = blocks.get(at.parent);
  // Never behind what is justified already: such a vote would count for nothing.
  if (at === undefined || at.slot < latest.justified.slot) return latest.justified;
  return { root: at.root, slot: at.slot };
}
