/**
 * Decides whether a running backlog proof is killed for a waiting group of a higher class. It is killed
 * at once if the group would lose worth by waiting for a lane, such as its votes' first step. Else it is
 * killed only if the group would start too late, and only once no lane can come free in time by itself.
 */
import { OPTIMISTIC_AT } from "../work/costs/cost-model.js";
import type { LaneOutlook } from "./forecast/forecast.js";

/** Longest time from the kill until the standby takes work: 60 to 250 ms, by the memory to free. */
export const TAKEOVER_MS = 250;

/** Share of its expected worth that a group may lose by waiting for backlog. */
const WAITING_LOSS = 0.1;

/** The group that is next. */
export interface Urgent {
  /** The latest instant at which it may start and still be in time. */
  startByMs: number;
  /** What it is expected to be worth if it starts at this instant. */
  worthAt(atMs: number): number;
}

export type Preemption =
  | { kind: "none" }
  /** A lane may still come free in time by itself: decide again at `atMs`. */
  | { kind: "look_again"; atMs: number }
  | { kind: "kill"; attempt: number };

/**
 * @param isPreemptible whether all groups that wait for the attempt are backlog, and the attempt is
 * not a backlog turn
 */
export function preemption(
  nowMs: number,
  { startByMs, worthAt }: Urgent,
  lanes: readonly LaneOutlook[],
  isPreemptible: (attempt: number) => boolean,
): Preemption {
  const freeAt = (lane: LaneOutlook, deviations: number) =>
    Math.max(nowMs, lane.freeAtMs(deviations));
  const victims = lanes.flatMap((lane) => {
    const { attempt, hasStandby } = lane;
    if (attempt === undefined || !hasStandby || !isPreemptible(attempt)) return [];
    return [{ attempt, freeAtMs: freeAt(lane, OPTIMISTIC_AT) }];
  });
  const decideAtMs = startByMs - TAKEOVER_MS;
  const [victim] = victims.sort((a, b) => b.freeAtMs - a.freeAtMs);
  if (victim === undefined || nowMs >= startByMs) return { kind: "none" };
  // A lane without an attempt that is free in time, such as after a kill, takes the waiting group.
  const isFree = (lane: LaneOutlook) =>
    lane.attempt === undefined && !lane.isTaken && freeAt(lane, OPTIMISTIC_AT) <= startByMs;
  if (lanes.some(isFree)) return { kind: "none" };
  const expectedAtMs = Math.min(...lanes.map((lane) => freeAt(lane, 0)));
  const losesWorth = worthAt(expectedAtMs) < (1 - WAITING_LOSS) * worthAt(nowMs + TAKEOVER_MS);
  const mayComeFree = lanes.some((lane) => freeAt(lane, OPTIMISTIC_AT) < decideAtMs);
  if (mayComeFree && !losesWorth) return { kind: "look_again", atMs: decideAtMs };
  return { kind: "kill", attempt: victim.attempt };
}
