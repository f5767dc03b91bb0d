/** Slots, intervals and duties of the wall clock: four or five intervals a slot. Pure. */

export const INTERVALS = [4, 5] as const;
export type Intervals = (typeof INTERVALS)[number];

/** What a node has to do at the start of an interval. */
export type Duty = "propose" | "vote" | "aggregate" | "safe target" | "accept";

/** With four intervals, the safe target shares the aggregating interval, and comes after it. */
const DUTIES: Readonly<Record<Intervals, readonly (readonly Duty[])[]>> = {
  5: [["propose"], ["vote"], ["aggregate"], ["safe target"], ["accept"]],
  4: [["propose"], ["vote"], ["aggregate", "safe target"], ["accept"]],
};
/** The interval that aggregates, whatever their number. */
export const AGGREGATE = 2;

export interface SlotTime {
  genesisUnixMs: number;
  slotMs: number;
  intervals: Intervals;
}

/** Intervals since genesis; negative before it. */
export function tickAt({ genesisUnixMs, slotMs, intervals }: SlotTime, unixMs: number): number {
  return Math.floor((unixMs - genesisUnixMs) / (slotMs / intervals));
}

export function dueUnixMs({ genesisUnixMs, slotMs, intervals }: SlotTime, tick: number): number {
  return genesisUnixMs + tick * (slotMs / intervals);
}

export const slotOf = (tick: number, intervals: Intervals): number => Math.floor(tick / intervals);
export const intervalOf = (tick: number, intervals: Intervals): number => tick % intervals;

/** The duties of an interval, in order. */
export function dutiesOf(interval: number, intervals: Intervals): readonly Duty[] {
  return DUTIES[intervals][interval] ?? [];
}
