/** Until when votes of earlier slots may be proved, in the modes that prove beside the tick. */
import { dueUnixMs, type SlotTime } from "../slot-time.js";

/**
 * Backlog that starts so long before the slot's end is done when the next slot's votes are due. Where provers do
 * not share their cores with the voters, it may have all of the time to the fence.
 */
const BEFORE_SLOT_END_MS = 1000;

/** How long from now its groups may start, in milliseconds: at least an interval, of the next slot then. */
export function backlogDeadlineMs(time: SlotTime, slot: number): number {
  const slotEndsInMs = Math.floor(dueUnixMs(time, (slot + 1) * time.intervals) - Date.now());
  return Math.max(time.slotMs / time.intervals, slotEndsInMs - BEFORE_SLOT_END_MS);
}
