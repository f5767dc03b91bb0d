/** Slots and intervals of the wall clock: five intervals a slot. Pure. */

export const INTERVALS_PER_SLOT = 5;

/** What each interval of a slot is for. */
export const PROPOSE = 0;
export const VOTE = 1;
export const AGGREGATE = 2;
export const SAFE_TARGET = 3;
export const ACCEPT = 4;

export interface SlotTime {
  genesisUnixMs: number;
  slotMs: number;
}

/** Intervals since genesis; negative before it. */
export function tickAt({ genesisUnixMs, slotMs }: SlotTime, unixMs: number): number {
  return Math.floor((unixMs - genesisUnixMs) / (slotMs / INTERVALS_PER_SLOT));
}

export function dueUnixMs({ genesisUnixMs, slotMs }: SlotTime, tick: number): number {
  return genesisUnixMs + tick * (slotMs / INTERVALS_PER_SLOT);
}

export const slotOf = (tick: number): number => Math.floor(tick / INTERVALS_PER_SLOT);
export const intervalOf = (tick: number): number => tick % INTERVALS_PER_SLOT;
