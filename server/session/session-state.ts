/**
 * The service's work on one accepted snapshot, as a synchronous state machine: which group is
 * queued, running under which attempt, or ended. Each group ends exactly once, and only its
 * current attempt may end it with a result. No clock, timer or I/O in here.
 */
import { assertNever } from "../errors.js";
import type { ProofResult, StopReason } from "../work/group.js";

/** `failure`: how the first try ended, for a group that is tried once more; its prover died. */
export type GroupState =
  | { kind: "queued"; failure: { attempt: number; result: ProofResult } | null }
  | { kind: "running"; attempt: number; isRetry: boolean }
  | { kind: "ended" };

export type NotStartedReason =
  "deadline" | "predicted_miss" | "superseded" | "cancelled" | "draining" | "limit" | "set_aside";

/** How a group ended. */
export type Ending =
  | { kind: "result"; result: ProofResult; isLate: boolean; attempt: number }
  | { kind: "not_started"; reason: NotStartedReason }
  | { kind: "stopped"; reason: StopReason; attempt: number };

export interface SessionState {
  readonly deadlineAtMs: number;
  readonly fenceAtMs: number;
  readonly groups: readonly GroupState[];
}

export type SessionEvent =
  | { kind: "started"; group: number; attempt: number }
  /** `mayRetry`: a death that is not the input's, with time left; taken up at most once. */
  | { kind: "result"; group: number; attempt: number; result: ProofResult; mayRetry: boolean }
  /** The lane never told how the attempt ended: to be started again, as if it had not been. */
  | { kind: "lost"; group: number; attempt: number }
  /** A group that the dispatcher decided not to start. */
  | { kind: "refused"; group: number; reason: NotStartedReason }
  | { kind: "deadline" }
  | { kind: "fence" }
  | { kind: "supersede" }
  /** Drain: what is queued ends at once. */
  | { kind: "drain" }
  /** The end of the drain's bound: what still runs ends too. */
  | { kind: "drained" }
  | { kind: "cancel"; groups: readonly number[] }
  /** A running group makes way for a higher class. */
  | { kind: "preempt"; group: number };

export type SessionEffect =
  /** The attempt is of no use any more: its prover is to be killed. */
  | { kind: "stop"; attempt: number; reason: StopReason }
  | { kind: "end"; group: number; ending: Ending }
  | { kind: "summary" };

export const queuedGroup: GroupState = { kind: "queued", failure: null };

export function isEnded(state: SessionState): boolean {
  return state.groups.every((group) => group.kind === "ended");
}

export function transitionSession(
  state: SessionState,
  event: SessionEvent,
  nowMs: number,
): { state: SessionState; effects: SessionEffect[] } {
  const groups = [...state.groups];
  const effects: SessionEffect[] = [];
  const end = (group: number, ending: Ending) => {
    groups[group] = { kind: "ended" };
    effects.push({ kind: "end", group, ending });
  };
  const endQueued = (reason: NotStartedReason, among: readonly number[] = [...groups.keys()]) => {
    for (const at of among) {
      const group = groups[at];
      if (group?.kind !== "queued") continue;
      // A group that was to be tried once more has been started: it failed.
      if (group.failure === null) end(at, { kind: "not_started", reason });
      else end(at, { kind: "result", ...group.failure, isLate: false });
    }
  };
  const endRunning = (reason: StopReason, among: readonly number[] = [...groups.keys()]) => {
    for (const at of among) {
      const group = groups[at];
      if (group?.kind !== "running") continue;
      effects.push({ kind: "stop", attempt: group.attempt, reason });
      end(at, { kind: "stopped", reason, attempt: group.attempt });
    }
  };

  switch (event.kind) {
    case "started": {
      const group = groups[event.group];
      if (group?.kind !== "queued") throw new Error("only a queued group starts");
      const isRetry = group.failure !== null;
      groups[event.group] = { kind: "running", attempt: event.attempt, isRetry };
      break;
    }
    case "result": {
      const group = groups[event.group];
      if (group?.kind !== "running" || group.attempt !== event.attempt) break;
      if (nowMs >= state.fenceAtMs) {
        end(event.group, { kind: "stopped", reason: "fence", attempt: event.attempt });
      } else if (event.mayRetry && !group.isRetry) {
        const { attempt, result } = event;
        groups[event.group] = { kind: "queued", failure: { attempt, result } };
      } else {
        const { attempt, result } = event;
        end(event.group, { kind: "result", result, attempt, isLate: nowMs >= state.deadlineAtMs });
      }
      break;
    }
    case "lost": {
      const group = groups[event.group];
      if (group?.kind !== "running" || group.attempt !== event.attempt) break;
      groups[event.group] = queuedGroup;
      if (nowMs >= state.deadlineAtMs) endQueued("deadline", [event.group]);
      break;
    }
    case "refused":
      endQueued(event.reason, [event.group]);
      break;
    case "deadline": {
      // A group that is tried once more was started in time.
      const isFresh = (at: number) => {
        const group = groups[at];
        return group?.kind === "queued" && group.failure === null;
      };
      endQueued("deadline", [...groups.keys()].filter(isFresh));
      break;
    }
    case "fence":
      endQueued("deadline");
      endRunning("fence");
      break;
    case "supersede":
      endQueued("superseded");
      break;
    case "drain":
      endQueued("draining");
      break;
    case "drained":
      endQueued("draining");
      endRunning("draining");
      break;
    case "cancel":
      endQueued("cancelled", event.groups);
      endRunning("cancelled", event.groups);
      break;
    case "preempt":
      endRunning("preempted", [event.group]);
      break;
    default:
      assertNever(event);
  }
  const next = { ...state, groups };
  if (effects.length > 0 && isEnded(next)) effects.push({ kind: "summary" });
  return { state: next, effects };
}
