/** What the two in-process modes share: which groups make a proof, and what a proof covers. */
import type { VoteGroup } from "../../chain/freeze-votes.js";
import type { ProvedGroup } from "./aggregator.js";

/** One raw signature, or two children. */
export function isProvable({ raws, children }: VoteGroup): boolean {
  return raws.length > 0 || children.length > 1;
}

export function provedGroup(
  submittedSlot: number,
  { data, raws, children }: VoteGroup,
  proof: Uint8Array,
  isLate: boolean,
): ProvedGroup {
  const voters = new Set(raws.map(({ validator }) => validator));
  for (const { participants } of children)
    for (const validator of participants.getTrueBitIndexes()) voters.add(validator);
  const participants = [...voters].sort((a, b) => a - b);
  return { submittedSlot, data, participants, proof, isLate };
}
