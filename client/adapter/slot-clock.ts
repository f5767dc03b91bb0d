/** Computes the time until a snapshot's proofs become worthless from the chain's slot times. */

/** When the chain's slots start, by the wall clock. */
export interface SlotClock {
  /** Length of a slot, in milliseconds. */
  slotMs: number;
  /** Start of slot 0, in milliseconds since 1970. */
  genesisUnixMs: number;
  /** Returns the wall clock's time in milliseconds since 1970. Default `Date.now`. */
  wallNowMs?: () => number;
}

/**
 * Milliseconds until the proofs of a snapshot of `slot` are worthless: what the function returns,
 * or the time until slot + 2 starts. Negative after that.
 */
export function timeToFenceMs(
  timeToFence: SlotClock | ((slot: number) => number),
  slot: number,
): number {
  if (typeof timeToFence === "function") return timeToFence(slot);
  const { genesisUnixMs, slotMs, wallNowMs = Date.now } = timeToFence;
  return genesisUnixMs + (slot + 2) * slotMs - wallNowMs();
}
