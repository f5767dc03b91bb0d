/** What the two in-process modes share: what makes a proof, what it covers, until when it counts. */
import type { VoteGroup } from "../../chain/freeze-votes.js";
import { isPastFence, type ProvedGroup } from "./aggregator.js";
import type { InProcessMetrics } from "./in-process-metrics.js";

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

/** Empties the list; what is past its fence is counted and dropped. */
export function takeFresh(
  proved: ProvedGroup[],
  currentSlot: number,
  { fenced }: Pick<InProcessMetrics, "fenced">,
): ProvedGroup[] {
  const taken = proved.splice(0);
  const fresh = taken.filter((group) => !isPastFence(group.submittedSlot, currentSlot));
  fenced.inc(taken.length - fresh.length);
  return fresh;
}
