/** What is counted in the slots of a simulated network. Pure. */
import type { BlockScenario, SlotResult } from "./block-scenario.js";

export interface BlockMeasures {
  /** Shares of the aggregators' votes that were proved by interval 3, by interval 4 and by the fence. */
  votesBy: readonly [number, number, number];
  /** Share of the blocks whose body had all messages that were known when the slot before began. */
  full: number;
  empty: number;
  /** Messages of a body, in the mean. */
  messages: number;
  /** From signature to the spec's block proof: the median and the 95th percentile. */
  blockProofMs: readonly [number, number] | undefined;
}

const INTERVALS = 5;
const FENCE_SLOTS = 2;

export function measureBlocks(
  { slotMs, known }: Pick<BlockScenario, "slotMs" | "known">,
  slots: readonly SlotResult[],
): BlockMeasures {
  const votes = slots.flatMap(({ votesMs }) => votesMs);
  const votesBy = (untilMs: number) => share(votes, (ms) => ms < untilMs);
  const proofs = slots.flatMap(({ blockProofMs }) => blockProofMs ?? []).sort((a, b) => a - b);
  const quantile = (of: number) => proofs[Math.ceil(of * proofs.length) - 1] ?? Infinity;
  return {
    votesBy: [
      votesBy((3 * slotMs) / INTERVALS),
      votesBy((4 * slotMs) / INTERVALS),
      votesBy(FENCE_SLOTS * slotMs),
    ],
    full: share(slots, (slot) => slot.made >= (known ?? 0)),
    empty: share(slots, ({ made }) => made === 0),
    messages: slots.reduce((sum, { made }) => sum + made, 0) / slots.length,
    blockProofMs: proofs.length === 0 ? undefined : [quantile(0.5), quantile(0.95)],
  };
}

function share<T>(all: readonly T[], is: (each: T) => boolean): number {
  return all.filter(is).length / all.length;
}
