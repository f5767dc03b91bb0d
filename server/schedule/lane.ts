/**
 * A device's queue of one, as a synchronous state machine: no clock, timer or I/O in here.
 * The dispatcher feeds it events and runs its effects.
 */
import { assertNever } from "../errors.js";

export type LaneState =
  | { kind: "starting"; failures: number }
  | { kind: "idle" }
  | { kind: "proving"; attempt: number }
  | { kind: "stopping" }
  | { kind: "failed"; cause: string; failures: number; retryAtMs: number };

export type LaneEvent =
  | { kind: "ready" }
  | { kind: "assign"; attempt: number }
  | { kind: "attempt_ended"; attempt: number }
  | { kind: "prover_exited"; cause: string }
  | { kind: "start_failed"; cause: string }
  | { kind: "retry" }
  | { kind: "stop" };

export type LaneEffect =
  { kind: "start_prover" } | { kind: "retry_at"; atMs: number } | { kind: "kill" };

/** A bootstrap that fails is tried again after 1 s, doubling to a minute: never hot. */
const RETRY_MS = 1000;
const RETRY_MS_MAX = 60_000;

export function transitionLane(
  state: LaneState,
  event: LaneEvent,
  nowMs: number,
): { state: LaneState; effects: LaneEffect[] } {
  const stay = { state, effects: [] };
  switch (event.kind) {
    case "ready":
      return state.kind === "starting" ? { state: { kind: "idle" }, effects: [] } : stay;
    case "assign":
      if (state.kind !== "idle") throw new Error(`lane is ${state.kind}, cannot take an attempt`);
      return { state: { kind: "proving", attempt: event.attempt }, effects: [] };
    case "attempt_ended":
      if (state.kind !== "proving" || state.attempt !== event.attempt) return stay;
      return { state: { kind: "idle" }, effects: [] };
    case "prover_exited":
      if (state.kind === "stopping" || state.kind === "starting") return stay;
      return { state: { kind: "starting", failures: 0 }, effects: [{ kind: "start_prover" }] };
    case "start_failed": {
      if (state.kind !== "starting") return stay;
      const failures = state.failures + 1;
      const retryAtMs = nowMs + Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX);
      const failed: LaneState = { kind: "failed", cause: event.cause, failures, retryAtMs };
      return { state: failed, effects: [{ kind: "retry_at", atMs: retryAtMs }] };
    }
    case "retry":
      if (state.kind !== "failed") return stay;
      return {
        state: { kind: "starting", failures: state.failures },
        effects: [{ kind: "start_prover" }],
      };
    case "stop":
      return { state: { kind: "stopping" }, effects: [{ kind: "kill" }] };
    default:
      return assertNever(event);
  }
}
