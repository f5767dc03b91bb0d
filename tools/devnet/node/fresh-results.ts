/** The rule that no result may break: never applied two slots after its submission, or later. */
import { isPastFence, type ProvedGroup } from "./aggregators/aggregator.js";

export class StaleResultError extends Error {
  override readonly name = "StaleResultError";
}

/** Throws `StaleResultError`: the result's maker should have dropped it at its fence. */
export function assertFresh({ submittedSlot }: ProvedGroup, currentSlot: number): void {
  if (!isPastFence(submittedSlot, currentSlot)) return;
  throw new StaleResultError(
    `a result of slot ${submittedSlot} was about to be applied in slot ${currentSlot}`,
  );
}
