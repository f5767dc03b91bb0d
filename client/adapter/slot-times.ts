/**
 * The arithmetic of a slot: when it starts, when its intervals start, when a submission may start
 * early, and when its proofs are worthless. Pure; every instant is in milliseconds of one clock. The
 * cases in `test/vectors/slot` hold it in every language.
 */

/** When the chain's slots and their intervals start. */
export interface SlotTimes {
  /** Length of a slot in milliseconds. */
  slotMs: number;
  /** Number of intervals of a slot. */
  intervals: number;
  /** Start of slot 0: the phase of all slots. */
  phaseMs: number;
}

/** What a vote is worth if its proof is ready before this instant. */
export interface StepAt {
  untilAtMs: number;
  weight: number;
}

const FENCE_SLOTS = 2;
const EARLY_MS_DEFAULT = 600;
const QUORUM = { votes: 2, of: 3 };

/** The slot at an instant; negative before slot 0. */
export function slotAt({ slotMs, phaseMs }: SlotTimes, atMs: number): number {
  return Math.floor((atMs - phaseMs) / slotMs);
}

/** The start of an interval of a slot. Rounded down, where a slot does not divide evenly. */
export function intervalAtMs(times: SlotTimes, slot: number, interval: number): number {
  const { slotMs, intervals, phaseMs } = times;
  return phaseMs + slot * slotMs + Math.floor((interval * slotMs) / intervals);
}

/** The first start of an interval after an instant. */
export function nextBoundaryAtMs(times: SlotTimes, atMs: number): number {
  const slot = slotAt(times, atMs);
  for (let interval = 1; ; interval++) {
    const boundaryAtMs = intervalAtMs(times, slot, interval);
    if (boundaryAtMs > atMs) return boundaryAtMs;
  }
}

/** The instant from which the proofs of a submission at this slot are worthless. */
export function fenceAtMs(times: SlotTimes, slot: number): number {
  return intervalAtMs(times, slot + FENCE_SLOTS, 0);
}

/** A duty of the node, and the votes that have arrived for it. */
export interface Duty {
  /** When the duty starts without a quorum. */
  dutyAtMs: number;
  votes: number;
  expectedVotes: number;
  /** How long before `dutyAtMs` a quorum may start it, in milliseconds. Default 600. */
  earlyMs?: number;
}

/** Whether the duty may start: it is time, or two thirds of the votes are there early enough. */
export function mayStart(duty: Duty, atMs: number): boolean {
  const { dutyAtMs, votes, expectedVotes, earlyMs = EARLY_MS_DEFAULT } = duty;
  if (atMs >= dutyAtMs) return true;
  const isQuorum = expectedVotes > 0 && votes * QUORUM.of >= expectedVotes * QUORUM.votes;
  return isQuorum && atMs >= dutyAtMs - earlyMs;
}

/**
 * The default steps of a submission: votes count 4 until the last interval but one of its slot
 * starts, 2 until the last one starts, and 1 until the fence. One that has passed stays, so that the
 * number of a step means one instant of the slot; one that is not before the fence is left out.
 */
export function stepsOf(
  times: SlotTimes,
  slot: number,
  { atMs, fenceAtMs }: { atMs: number; fenceAtMs: number },
): StepAt[] {
  const { intervals } = times;
  const starts = [
    { untilAtMs: intervalAtMs(times, slot, intervals - 2), weight: 4 },
    { untilAtMs: intervalAtMs(times, slot, intervals - 1), weight: 2 },
  ];
  const before = starts.filter(({ untilAtMs }) => untilAtMs < fenceAtMs);
  return fenceAtMs > atMs ? [...before, { untilAtMs: fenceAtMs, weight: 1 }] : [];
}
