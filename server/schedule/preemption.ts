/**
 * Whether a running backlog proof is killed for a higher class: only if that would miss otherwise,
 * and not before it is certain to, or has to be decided.
 */
import type { LaneForecast } from "./forecast.js";

/** Time from the kill until the standby takes work: 60 to 250 ms, by size of the killed process. */
export const TAKEOVER_MS = 250;

export type Preemption =
  | { kind: "none" }
  /** A lane may still be free in time by itself. */
  | { kind: "look_again"; atMs: number }
  | { kind: "kill"; attempt: number };

/**
 * `startByMs`: the latest instant at which the waiting group of a higher class may start and still
 * be in time. `isPreemptible`: every waiter is backlog, and it is not the turn of backlog.
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
  // A lane that is about to be free, for example after a kill, is for the waiting group.
  if (lanes.some(({ attempt, freeAtMs }) => attempt === undefined && freeAtMs <= startByMs))
    return { kind: "none" };
  const mayComeFree = lanes.some(({ freeAtMs }) => Math.max(nowMs, freeAtMs) < decideAtMs);
  if (mayComeFree) return { kind: "look_again", atMs: decideAtMs };
  return { kind: "kill", attempt: victim.attempt };
}
