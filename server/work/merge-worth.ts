/** What a merge is worth. It starts whole or not at all, so there is no part to choose. Pure. */
import { inputsOf } from "./group.js";
import type { MergeWork } from "./group.js";
import type { PartRules } from "./parts.js";
import { shapeOf } from "./shape.js";
import { FOLDED_WEIGHT, LEAST_CHANCE } from "./worth.js";
import type { Best } from "./worth.js";

/**
 * What is expected of the merge, of which each vote counts by itself: as `FOLDED_WEIGHT` where a proof
 * has it already. Undefined when the merge may not start.
 */
export function worthOfMerge(
  merge: MergeWork,
  { prospectOf, leastChance = LEAST_CHANCE, isPossible }: Omit<PartRules, "mayShed">,
): Best | undefined {
  const shape = shapeOf(merge);
  if (isPossible?.(shape) === false) return undefined;
  const { raws, children } = inputsOf(merge);
  const prospect = prospectOf(shape);
  const worth = prospect.weight * (votesOf(raws) + FOLDED_WEIGHT * votesOf(children));
  return worth > 0 && prospect.chance >= leastChance ? { shape, worth, ...prospect } : undefined;
}

function votesOf(inputs: readonly { validators: readonly number[] }[]): number {
  return inputs.reduce((sum, { validators }) => sum + validators.length, 0);
}
