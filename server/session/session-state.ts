/**
 * The state machine of one session: each group is queued, running under an attempt, or ended. Each
 * group ends exactly once, and only its current attempt may end it with a result. Pure: no clock,
 * timer or I/O.
 */
import { assertNever } from "../errors.js";
import type { LeftOut, ProofResult, StopReason } from "../work/group.js";

/**
 * `failure`: how the first attempt ended, if its prover died and the group waits for its second
 * attempt or has it; else null.
 */
export type GroupState =
  | { kind: "queued"; failure: Failure | null }
  | { kind: "running"; attempt: number; failure: Failure | null }
  | { kind: "ended" };

interface Failure {
  attempt: number;
  result: ProofResult;
}

export type NotStartedReason =
  "deadline" | "predicted_miss" | "superseded" | "cancelled" | "draining" | "limit" | "set_aside";

/** How a group ended. */
export type Ending =
  /** `attempt` is 0 where none was needed. */
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
  /**
   * `mayRetry`: a prover died, the input is not set aside, and time for a second attempt is left.
   * Ignored after a second attempt.
   */
  | { kind: "result"; group: number; attempt: number; result: ProofResult; mayRetry: boolean }
  /** The result of the attempt never arrived, or applies to other waiters only: queue again. */
  | { kind: "lost"; group: number; attempt: number }
  /** No proof of the attempt can be ready by the fence: the group ends as if that had come. */
  | { kind: "missed"; group: number; attempt: number }
  /** The schedule does not start the group. */
  | { kind: "refused"; group: number; reason: NotStartedReason }
  /** No proof of the group starts, because of the inputs that decoding left out. */
  | { kind: "rejected"; group: number; leftOut: readonly LeftOut[] }
  | { kind: "deadline" }
  | { kind: "fence" }
  /** A later snapshot takes the place of the queued groups. */
  | { kind: "supersede" }
  /** A later run of the node has called: nobody waits for any group. */
  | { kind: "outdate" }
  /** The service drains: queued groups end. */
  | { kind: "drain" }
  /** The time limit of the drain has passed: running groups end too. */
  | { kind: "drained" }
  | { kind: "cancel"; groups: readonly number[] }
  /** A running group is preempted by a higher class. */
  | { kind: "preempt"; group: number };

export type SessionEffect =
  /** The session no longer waits for the attempt. */
  | { kind: "stop"; attempt: number; reason: StopReason }
  | { kind: "end"; group: number; ending: Ending }
  | { kind: "summary" };

export const queuedGroup: GroupState = { kind: "queued", failure: null };

export function isEnded(state: SessionState): boolean {
  return state.groups.every((group) => group.kind === "ended");
}

/** Number of queued groups. */
export function queuedIn({ groups }: SessionState): number {
  return groups.reduce((sum, { kind }) => sum + (kind === "queued" ? 1 : 0), 0);
}

export function transitionSession(
  state: SessionState,
  event: SessionEvent,
  nowMs: number,
): { state: SessionState; effects: SessionEffect[] } {
  const change = new Change(state, nowMs);
  change.take(event);
  const next = { ...state, groups: change.groups };
  if (change.effects.length > 0 && isEnded(next)) change.effects.push({ kind: "summary" });
  return { state: next, effects: change.effects };
}

/** Collects what one event changes: the groups after the event, and its effects. */
class Change {
  readonly groups: GroupState[];
  readonly effects: SessionEffect[] = [];

  constructor(
    private readonly state: SessionState,
    private readonly nowMs: number,
  ) {
    this.groups = [...state.groups];
  }

  take(event: SessionEvent): void {
    switch (event.kind) {
      case "started":
        return this.start(event.group, event.attempt);
      case "result":
        return this.takeResult(event);
      case "lost":
        return this.queueAgain(event.group, event.attempt);
      case "missed":
        return this.miss(event.group, event.attempt);
      case "refused":
        return this.endQueued(event.reason, [event.group]);
      case "rejected":
        return this.reject(event.group, event.leftOut);
      case "deadline":
        return this.endQueued("deadline", this.neverStarted());
      case "fence":
        this.endQueued("deadline");
        return this.endRunning("fence");
      case "supersede":
        return this.endQueued("superseded");
      case "outdate":
        this.endQueued("superseded");
        return this.endRunning("superseded");
      case "drain":
        return this.endQueued("draining");
      case "drained":
        this.endQueued("draining");
        return this.endRunning("draining");
      case "cancel":
        this.endQueued("cancelled", event.groups);
        return this.endRunning("cancelled", event.groups);
      case "preempt":
        return this.endRunning("preempted", [event.group]);
      default:
        return assertNever(event);
    }
  }

  private start(at: number, attempt: number): void {
    const group = this.groups[at];
    if (group?.kind !== "queued") throw new Error("only a queued group starts");
    this.groups[at] = { kind: "running", attempt, failure: group.failure };
  }

  private takeResult(event: Extract<SessionEvent, { kind: "result" }>): void {
    const { group: at, attempt, result, mayRetry } = event;
    const group = this.groups[at];
    if (group?.kind !== "running" || group.attempt !== attempt) return;
    if (this.nowMs >= this.state.fenceAtMs) {
      this.end(at, { kind: "stopped", reason: "fence", attempt });
    } else if (mayRetry && group.failure === null) {
      this.groups[at] = { kind: "queued", failure: { attempt, result } };
    } else {
      const isLate = this.nowMs >= this.state.deadlineAtMs;
      this.end(at, { kind: "result", result, attempt, isLate });
    }
  }

  private queueAgain(at: number, attempt: number): void {
    const group = this.groups[at];
    if (group?.kind !== "running" || group.attempt !== attempt) return;
    const { failure } = group;
    this.groups[at] = { kind: "queued", failure };
    // A second attempt that is lost is made up for until the fence: the first was in time.
    if (failure === null && this.nowMs >= this.state.deadlineAtMs) this.endQueued("deadline", [at]);
  }

  private miss(at: number, attempt: number): void {
    const group = this.groups[at];
    if (group?.kind !== "running" || group.attempt !== attempt) return;
    this.end(at, { kind: "stopped", reason: "fence", attempt });
  }

  private reject(at: number, leftOut: readonly LeftOut[]): void {
    if (this.groups[at]?.kind !== "queued") throw new Error("only a queued group is rejected");
    const result = { kind: "rejected", leftOut } as const;
    this.end(at, { kind: "result", result, isLate: false, attempt: 0 });
  }

  /** Queued groups, except those that wait for a second attempt: their first was in time. */
  private neverStarted(): number[] {
    return [...this.groups.keys()].filter((at) => {
      const group = this.groups[at];
      return group?.kind === "queued" && group.failure === null;
    });
  }

  private endQueued(reason: NotStartedReason, among: Iterable<number> = this.groups.keys()): void {
    for (const at of among) {
      const group = this.groups[at];
      if (group?.kind !== "queued") continue;
      // A group that waits for its second attempt was started, and its first attempt failed.
      if (group.failure === null) this.end(at, { kind: "not_started", reason });
      else this.end(at, { kind: "result", ...group.failure, isLate: false });
    }
  }

  private endRunning(reason: StopReason, among: Iterable<number> = this.groups.keys()): void {
    for (const at of among) {
      const group = this.groups[at];
      if (group?.kind !== "running") continue;
      this.effects.push({ kind: "stop", attempt: group.attempt, reason });
      this.end(at, { kind: "stopped", reason, attempt: group.attempt });
    }
  }

  private end(group: number, ending: Ending): void {
    this.groups[group] = { kind: "ended" };
    this.effects.push({ kind: "end", group, ending });
  }
}
