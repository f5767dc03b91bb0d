/**
 * The standby of a lane, in the terms of its state machine: whether memory has room for one, when it is
 * set up, and when it is killed. Pure, as `lane-state.ts` is, which calls it.
 */
import type { LaneEffect, LaneOptions, LaneState, Step } from "./lane-events.js";
import { announce } from "./lane-events.js";
import type { KillCause } from "./lane-messages.js";

/** Milliseconds for which a missing standby waits for an idle device, not to disturb a proof. */
export const STANDBY_WAIT_MS_MAX = 3000;

/** Replaces the standby; without one, the next beat sets one up, however long its retry is off. */
export function restartStandby(state: LaneState): Step {
  if (state.standby !== null) return killStandby(state, "restart");
  return { state: { ...state, standbyRetryAtMs: 0 }, effects: [] };
}

/** Kills the standby; no effect without a ready one. A later beat sets up another. */
export function killStandby(state: LaneState, cause: KillCause): Step {
  const { standby } = state;
  if (standby?.status !== "ready") return { state, effects: [] };
  const kill: LaneEffect = { kind: "kill_prover", prover: standby.prover, cause };
  return {
    state: { ...state, standby: { ...standby, status: "killed" } },
    effects: [kill, announce],
  };
}

/** Whether memory has room for a standby; it may change while the service runs. */
export function standbyFits(
  { setupBytes = 0 }: LaneState,
  { standbyBytesMax }: LaneOptions,
): boolean {
  return setupBytes < standbyBytesMax;
}

/** Why the lane has no standby, for people; empty while it has one, or wants none. */
export function whyNoStandby(state: LaneState, options: LaneOptions): string {
  const { standby, standbyCause, setupBytes = 0 } = state;
  const { standbyBytesMax } = options;
  if (standby !== null || standbyBytesMax <= 0) return "";
  if (standbyFits(state, options)) return standbyCause;
  const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  return `a standby takes ${mb(setupBytes)}, memory has room for ${mb(standbyBytesMax)}`;
}

export function warmStandby(state: LaneState, nowMs: number, options: LaneOptions): Step {
  const { phase, active, standby } = state;
  const fits = standbyFits(state, options);
  const isWanted = fits && standby === null && active?.status === "ready";
  const isDue = nowMs >= state.standbyRetryAtMs;
  const mayRun =
    phase.kind === "idle" || nowMs >= state.standbyMissingSinceMs + STANDBY_WAIT_MS_MAX;
  if (!isWanted || !isDue || !mayRun) return { state, effects: [announce] };
  const prover = state.lastProver + 1;
  return {
    state: {
      ...state,
      standby: { prover, status: "starting", isUsed: false },
      lastProver: prover,
    },
    effects: [{ kind: "start_prover", prover }, announce],
  };
}
