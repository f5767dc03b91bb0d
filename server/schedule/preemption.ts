/**
 * Whether a running backlog proof is killed for a higher class: only when that would otherwise
 * miss, and no sooner than it is certain or has to be done.
 */
import type { LaneForecast } from "./forecast.js";

/** From the decision to kill to the standby's taking work: 60 to 250 ms, by the killed one's size. */
export const TAKEOVER_MS = 250;

export type Preemption =
  | { kind: "none" }
  /** Not yet: a lane may still come free by itself. */
  | { kind: "look_again"; atMs: number }
  | { kind: "kill"; attempt: number };

/**
 * `startByMs`: the latest instant at which the waiting group of a higher class may start and still
 * be in time. `isPreemptible`: the attempt proves nothing but backlog, out of turn.
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
  // One that is about to be free, a killed one included, is the waiting group's.
  if (lanes.some(({ attempt, freeAtMs }) => attempt === undefined && freeAtMs <= startByMs))
    return { kind: "none" };
  const mayComeFree = lanes.some(({ freeAtMs }) => Math.max(nowMs, freeAtMs) < decideAtMs);
  if (mayComeFree) return { kind: "look_again", atMs: decideAtMs };
  return { kind: "kill", attempt: victim.attempt };
}
