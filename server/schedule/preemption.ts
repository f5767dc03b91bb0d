/**
 * Decides whether a running backlog proof is killed for a waiting group of a higher class. It is
 * killed only if that group would otherwise start too late, and only once no lane can come free in
 * time by itself.
 */
import type { LaneForecast } from "./forecast/forecast.js";

/** Longest time from the kill until the standby takes work: 60 to 250 ms, by the memory to free. */
export const TAKEOVER_MS = 250;

export type Preemption =
  | { kind: "none" }
  /** A lane may still come free in time by itself: decide again at `atMs`. */
  | { kind: "look_again"; atMs: number }
  | { kind: "kill"; attempt: number };

/**
 * @param startByMs the latest instant at which the waiting group may start and still be in time
 * @param isPreemptible whether all groups that wait for the attempt are backlog, and the attempt is
 * not a backlog turn
 */
export function preemption(
  nowMs: number,
  startByMs: number,
  lanes: readonly LaneForecast[],
  isPreemptible: (attempt: number) => boolean,
): Preemption {
  const victims = lanes.flatMap(({ attempt, hasStandby, freeAtMs }) =>
    attempt !== undefined && hasStandby && isPreemptible(attempt) ? [{ attempt, freeAtMs }] : [],
  );
  const decideAtMs = startByMs - TAKEOVER_MS;
  const [victim] = victims.sort((a, b) => b.freeAtMs - a.freeAtMs);
  if (victim === undefined || nowMs >= startByMs) return { kind: "none" };
  // A lane without an attempt that is free in time, such as after a kill, takes the waiting group.
  const isFree = ({ attempt, isTaken, freeAtMs }: LaneForecast) =>
    attempt === undefined && !isTaken && freeAtMs <= startByMs;
  if (lanes.some(isFree)) return { kind: "none" };
  const mayComeFree = lanes.some(({ freeAtMs }) => Math.max(nowMs, freeAtMs) < decideAtMs);
  if (mayComeFree) return { kind: "look_again", atMs: decideAtMs };
  return { kind: "kill", attempt: victim.attempt };
}
