/** The chain's slot times by the wall clock, as a node gives them to the adapter. */
import type { SlotTimes } from "./slot-times.js";
import { fenceAtMs, stepsOf } from "./slot-times.js";

const INTERVALS_DEFAULT = 5;

/** When the chain's slots start, by the wall clock. */
export interface SlotClock {
  /** Length of a slot, in milliseconds. */
  slotMs: number;
  /** Start of slot 0, in milliseconds since 1970. */
  genesisUnixMs: number;
  /** Number of intervals of a slot. Default 5. */
  intervals?: number;
  /** Returns the wall clock's time in milliseconds since 1970. Default `Date.now`. */
  wallNowMs?: () => number;
}

/** What votes are worth by when, in milliseconds from the call that submits them. */
export interface StepInit {
  untilMs: number;
  /** 1 to 1000000. */
  weight: number;
}

/** The clock's times for the functions of `slot-times.ts`, which then take wall-clock instants. */
export function slotTimesOf({ slotMs, genesisUnixMs, intervals }: SlotClock): SlotTimes {
  return { slotMs, phaseMs: genesisUnixMs, intervals: intervals ?? INTERVALS_DEFAULT };
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
  return fenceAtMs(slotTimesOf(timeToFence), slot) - wallNowMs(timeToFence);
}

/**
 * The default steps of a snapshot that was begun `spentMs` ago, and whose fence is `fenceMs` after that,
 * in milliseconds from then; none without a slot clock.
 */
export function defaultSteps(
  timeToFence: SlotClock | ((slot: number) => number),
  slot: number,
  { fenceMs, spentMs }: { fenceMs: number; spentMs: number },
): StepInit[] {
  if (typeof timeToFence === "function") return [];
  const atMs = wallNowMs(timeToFence) - spentMs;
  const steps = stepsOf(slotTimesOf(timeToFence), slot, { atMs, fenceAtMs: atMs + fenceMs });
  return steps.map(({ untilAtMs, weight }) => ({ untilMs: untilAtMs - atMs, weight }));
}

function wallNowMs({ wallNowMs: now = Date.now }: SlotClock): number {
  return now();
}
