/** The time until a snapshot's proofs become worthless, from the chain's own time. */

/** Where the chain's slots lie on the wall clock. */
export interface SlotClock {
  /** Length of a slot, in milliseconds. */
  slotMs: number;
  /** Start of slot 0, in milliseconds since 1970. */
  genesisUnixMs: number;
  /** Default `Date.now`. */
  wallNowMs?: () => number;
}

/** Milliseconds until slot N+2 starts; negative after its start. */
export function timeToFenceMs(
  timeToFence: SlotClock | ((slot: number) => number),
  slot: number,
): number {
  if (typeof timeToFence === "function") return timeToFence(slot);
  const { genesisUnixMs, slotMs, wallNowMs = Date.now } = timeToFence;
  return genesisUnixMs + (slot + 2) * slotMs - wallNowMs();
}
