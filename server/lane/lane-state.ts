/**
 * A device as a synchronous state machine: which prover process proves, which stands by, which
 * attempt runs, and what happens after a prover has died. No clock, timer or I/O in here; `lane.ts`
 * feeds events to the state machine in their order and carries out the effects.
 */
import { assertNever } from "../errors.js";
import { limits } from "../limits.js";
import type { StopReason } from "../work/group.js";
import type { KillCause, OperatorCommand } from "./lane-messages.js";

/** A prover process, by the number under which the lane knows it. */
export interface HeldProver {
  readonly prover: number;
  /** `killed`: SIGKILL was sent after the setup, and the process has not ended yet. */
  readonly status: "starting" | "ready" | "killed";
  /** True once it was given an attempt: its memory is then no longer that of a fresh prover. */
  readonly isUsed: boolean;
}

export type LanePhase =
  /** The active prover is being set up. */
  | { kind: "starting" }
  | { kind: "idle" }
  | { kind: "proving"; attempt: number; overrunAtMs: number }
  /** The active prover has been killed; the device is busy until the process has really ended. */
  | { kind: "stopping"; cause: KillCause }
  /** The active prover could not be set up; its setup is tried again at `retryAtMs`. */
  | { kind: "failed"; cause: string; retryAtMs: number };

export interface LaneState {
  readonly phase: LanePhase;
  /** Number of the current lease; raised when an attempt ends or an assignment cannot be taken. */
  readonly lease: number;
  readonly active: HeldProver | null;
  readonly standby: HeldProver | null;
  /** The instant since which there is no standby; without meaning while there is one. */
  readonly standbyMissingSinceMs: number;
  /** No standby is set up before this instant. */
  readonly standbyRetryAtMs: number;
  /** Number of setups of the active prover that failed in a row. */
  readonly startFailures: number;
  /** Number of setups of the standby that failed in a row. */
  readonly standbyFailures: number;
  /** Number of the prover that was started last; 0: none was. */
  readonly lastProver: number;
  /** True while the operator wants the lane to take no new attempt. */
  readonly isDrained: boolean;
  /** True when the operator wants the active prover replaced once its running proof has ended. */
  readonly isRestartDue: boolean;
  /** Number of the operator's last command that was carried out; 0: none was. */
  readonly commandsDone: number;
}

export type LaneEvent =
  | { kind: "open" }
  | { kind: "ready"; prover: number }
  /** The prover's process has ended; `why` is for people. */
  | { kind: "exited"; prover: number; why: string }
  | { kind: "assign"; lease: number; attempt: number }
  | { kind: "kill"; lease: number; attempt: number; reason: StopReason }
  /** The attempt's proof begins; after the instant `overrunAtMs` its prover counts as hung. */
  | { kind: "proof_started"; attempt: number; overrunAtMs: number }
  /** The attempt has a result. `residentBytes`: memory of its prover. */
  | { kind: "ended"; attempt: number; residentBytes: number }
  /**
   * Sent every half second. Silences are milliseconds since the prover's last message; -Infinity
   * where silence is not judged. `residentBytes`: memory of the active prover.
   */
  | { kind: "beat"; activeSilentMs: number; standbySilentMs: number; residentBytes: number }
  | { kind: "command"; number: number; command: OperatorCommand }
  | { kind: "close" };

export type LaneEffect =
  | { kind: "start_prover"; prover: number }
  | { kind: "kill_prover"; prover: number; cause: KillCause }
  | { kind: "run"; attempt: number }
  /** Send the result of the attempt to the scheduler. */
  | { kind: "report"; attempt: number }
  /** Report to the scheduler that the attempt has failed because its prover died. */
  | { kind: "report_death"; attempt: number; why: string }
  | { kind: "announce" };

export interface LaneOptions {
  /** Number of standbys to keep; when it falls to 0, a ready standby is killed. */
  standbys: 0 | 1;
  /** Resident bytes above which an active prover that has proved is replaced between proofs. */
  residentBytesMax: number;
}

/** A failed setup is tried again after 1 s, then after twice as long each time, up to a minute. */
const RETRY_MS = 1000;
const RETRY_MS_MAX = 60_000;
/** Milliseconds for which a missing standby waits for an idle device, not to disturb a proof. */
export const STANDBY_WAIT_MS_MAX = 3000;

export const freshLane: LaneState = {
  phase: { kind: "starting" },
  lease: 1,
  active: null,
  standby: null,
  standbyMissingSinceMs: 0,
  standbyRetryAtMs: 0,
  startFailures: 0,
  standbyFailures: 0,
  lastProver: 0,
  isDrained: false,
  isRestartDue: false,
  commandsDone: 0,
};

interface Step {
  state: LaneState;
  effects: LaneEffect[];
}

const announce: LaneEffect = { kind: "announce" };
const burnLease = (state: LaneState): Step => ({
  state: { ...state, lease: state.lease + 1 },
  effects: [announce],
});

export function transitionLane(
  state: LaneState,
  event: LaneEvent,
  nowMs: number,
  options: LaneOptions,
): Step {
  const { phase, active, standby } = state;
  const stay: Step = { state, effects: [] };
  switch (event.kind) {
    case "open":
      return startActive(state);
    case "ready":
      return becomeReady(state, event.prover, nowMs);
    case "exited":
      if (event.prover === standby?.prover) return standbyExited(state, nowMs);
      return event.prover === active?.prover ? activeExited(state, event.why, nowMs) : stay;
    case "assign": {
      // An assignment that came twice or is of an earlier lease gets no answer: replies to stale
      // messages would multiply without bound. The next beat announces the state.
      if (phase.kind === "proving" || event.lease < state.lease) return stay;
      if (phase.kind !== "idle" || state.isDrained) return burnLease(state);
      const proving: LanePhase = { kind: "proving", attempt: event.attempt, overrunAtMs: Infinity };
      return {
        state: { ...state, phase: proving, active: active && { ...active, isUsed: true } },
        effects: [{ kind: "run", attempt: event.attempt }, announce],
      };
    }
    case "kill":
      if (phase.kind === "proving" && phase.attempt === event.attempt) {
        return killActive({ ...state, lease: state.lease + 1 }, event.reason);
      }
      // The kill has overtaken its assignment: a new lease makes that assignment stale.
      return event.lease === state.lease && phase.kind !== "proving" ? burnLease(state) : stay;
    case "proof_started":
      if (phase.kind !== "proving" || phase.attempt !== event.attempt) return stay;
      return {
        state: { ...state, phase: { ...phase, overrunAtMs: event.overrunAtMs } },
        effects: [announce],
      };
    case "ended":
      if (phase.kind !== "proving" || phase.attempt !== event.attempt) return stay;
      return attemptEnded(state, event, options);
    case "beat":
      return beat(state, event, nowMs, options);
    case "command":
      // A command that came twice, or was overtaken by a later one, gets no answer either.
      if (event.number <= state.commandsDone) return stay;
      return carryOut({ ...state, commandsDone: event.number }, event.command);
    case "close":
      return close(state);
    default:
      return assertNever(event);
  }
}

function startActive(state: LaneState): Step {
  const prover = state.lastProver + 1;
  const active: HeldProver = { prover, status: "starting", isUsed: false };
  return {
    state: { ...state, phase: { kind: "starting" }, active, lastProver: prover },
    effects: [{ kind: "start_prover", prover }, announce],
  };
}

function killActive(state: LaneState, cause: KillCause): Step {
  const { active } = state;
  if (active === null) throw new Error("a lane without a prover has nothing to kill");
  return {
    state: {
      ...state,
      phase: { kind: "stopping", cause },
      active: { ...active, status: "killed" },
      isRestartDue: false,
    },
    effects: [{ kind: "kill_prover", prover: active.prover, cause }, announce],
  };
}

/** Carries a command out. Announces in any case, because that confirms the command. */
function carryOut(state: LaneState, command: OperatorCommand): Step {
  if (command.kind === "drain") {
    return { state: { ...state, isDrained: command.isDrained }, effects: [announce] };
  }
  const done = command.role === "active" ? restartActive(state) : killStandby(state, "restart");
  return done.effects.includes(announce) ? done : { ...done, effects: [...done.effects, announce] };
}

/** Replaces the active prover after its running proof; no effect during setup or replacement. */
function restartActive(state: LaneState): Step {
  switch (state.phase.kind) {
    case "idle":
      return killActive(state, "restart");
    case "proving":
      return { state: { ...state, isRestartDue: true }, effects: [] };
    case "failed":
      return startActive(state);
    case "starting":
    case "stopping":
      return { state, effects: [] };
    default:
      return assertNever(state.phase);
  }
}

/** Kills the standby; no effect without a ready one. A later beat sets up another. */
function killStandby(state: LaneState, cause: KillCause): Step {
  const { standby } = state;
  if (standby?.status !== "ready") return { state, effects: [] };
  const kill: LaneEffect = { kind: "kill_prover", prover: standby.prover, cause };
  return {
    state: { ...state, standby: { ...standby, status: "killed" } },
    effects: [kill, announce],
  };
}

function becomeReady(state: LaneState, prover: number, nowMs: number): Step {
  const { active, standby } = state;
  if (standby?.prover === prover) {
    const ready: HeldProver = { ...standby, status: "ready" };
    return { state: { ...state, standby: ready, standbyFailures: 0 }, effects: [announce] };
  }
  if (active?.prover !== prover || state.phase.kind !== "starting") return { state, effects: [] };
  return idle({ ...state, active: { ...active, status: "ready" }, startFailures: 0 }, nowMs);
}

function idle(state: LaneState, nowMs: number): Step {
  const standbyMissingSinceMs = state.standby === null ? nowMs : state.standbyMissingSinceMs;
  return {
    state: { ...state, phase: { kind: "idle" }, standbyMissingSinceMs },
    effects: [announce],
  };
}

function attemptEnded(
  state: LaneState,
  { attempt, residentBytes }: Extract<LaneEvent, { kind: "ended" }>,
  { residentBytesMax }: LaneOptions,
): Step {
  const next: LaneState = { ...state, lease: state.lease + 1, phase: { kind: "idle" } };
  const report: LaneEffect = { kind: "report", attempt };
  const cause = state.isRestartDue
    ? "restart"
    : residentBytes > residentBytesMax
      ? "memory"
      : undefined;
  if (cause === undefined) return { state: next, effects: [report, announce] };
  const killed = killActive(next, cause);
  return { state: killed.state, effects: [report, ...killed.effects] };
}

function activeExited(state: LaneState, why: string, nowMs: number): Step {
  const { phase, active } = state;
  const wasReady = active !== null && active.status !== "starting";
  const isProving = phase.kind === "proving";
  const effects: LaneEffect[] = isProving
    ? [{ kind: "report_death", attempt: phase.attempt, why }]
    : [];
  const next: LaneState = {
    ...state,
    active: null,
    isRestartDue: false,
    lease: isProving ? state.lease + 1 : state.lease,
    startFailures: wasReady ? 0 : state.startFailures + 1,
  };
  const succeeded = succeed(next, why, nowMs);
  return { state: succeeded.state, effects: [...effects, ...succeeded.effects] };
}

/** After the end of the active prover: the standby takes over, or a new prover is set up. */
function succeed(state: LaneState, why: string, nowMs: number): Step {
  const { standby, startFailures } = state;
  if (isClosed(state)) return { state, effects: [] };
  if (standby !== null && standby.status !== "killed") {
    const promoted = { ...state, active: standby, standby: null, standbyMissingSinceMs: nowMs };
    if (standby.status === "ready") return idle(promoted, nowMs);
    return { state: { ...promoted, phase: { kind: "starting" } }, effects: [announce] };
  }
  if (startFailures === 0) return startActive(state);
  const retryAtMs = nowMs + backoffMs(startFailures);
  return {
    state: { ...state, phase: { kind: "failed", cause: why, retryAtMs } },
    effects: [announce],
  };
}

function standbyExited(state: LaneState, nowMs: number): Step {
  const standbyFailures = state.standby?.status === "starting" ? state.standbyFailures + 1 : 0;
  const standbyRetryAtMs = nowMs + (standbyFailures === 0 ? 0 : backoffMs(standbyFailures));
  return {
    state: {
      ...state,
      standby: null,
      standbyFailures,
      standbyRetryAtMs,
      standbyMissingSinceMs: nowMs,
    },
    effects: [announce],
  };
}

function backoffMs(failures: number): number {
  return Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MS_MAX);
}

function beat(
  state: LaneState,
  event: Extract<LaneEvent, { kind: "beat" }>,
  nowMs: number,
  options: LaneOptions,
): Step {
  const { phase } = state;
  if (isClosed(state)) return { state, effects: [] };
  if (phase.kind === "failed" && nowMs >= phase.retryAtMs) return startActive(state);
  // The standby is judged first, so that a silent standby does not take over.
  const isSilent = event.standbySilentMs > limits.proverSilenceMsMax;
  const cause = isSilent ? "wedged" : options.standbys === 0 ? "memory" : undefined;
  const checked: Step = cause === undefined ? { state, effects: [] } : killStandby(state, cause);
  const judged = judgeActive(checked.state, event, nowMs, options);
  const next = judged ?? warmStandby(checked.state, nowMs, options);
  return { state: next.state, effects: [...checked.effects, ...next.effects] };
}

/** Kills the active prover if it is silent, hangs or exceeds its memory; else returns undefined. */
function judgeActive(
  state: LaneState,
  { activeSilentMs, residentBytes }: Extract<LaneEvent, { kind: "beat" }>,
  nowMs: number,
  { residentBytesMax }: LaneOptions,
): Step | undefined {
  const { phase, active } = state;
  const isSilent = activeSilentMs > limits.proverSilenceMsMax;
  if (phase.kind === "idle") {
    // Never replace an unused prover: the next one would exceed the ceiling too, without end.
    if (residentBytes > residentBytesMax && active?.isUsed === true) {
      return killActive(state, "memory");
    }
    return isSilent ? killActive(state, "wedged") : undefined;
  }
  if (phase.kind !== "proving" || (!isSilent && nowMs < phase.overrunAtMs)) return undefined;
  const what = isSilent ? "it sent no heartbeat" : "its proof took far longer than predicted";
  const killed = killActive({ ...state, lease: state.lease + 1 }, "wedged");
  const why = `the prover was wedged: ${what}`;
  const death: LaneEffect = { kind: "report_death", attempt: phase.attempt, why };
  return { state: killed.state, effects: [death, ...killed.effects] };
}

function warmStandby(state: LaneState, nowMs: number, { standbys }: LaneOptions): Step {
  const { phase, active, standby } = state;
  const isWanted = standbys === 1 && standby === null && active?.status === "ready";
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

function isClosed({ phase }: LaneState): boolean {
  return phase.kind === "stopping" && phase.cause === "closed";
}

function close(state: LaneState): Step {
  const { active, standby, phase } = state;
  const effects = [active, standby].flatMap((held): LaneEffect[] =>
    held === null ? [] : [{ kind: "kill_prover", prover: held.prover, cause: "closed" }],
  );
  const lease = phase.kind === "proving" ? state.lease + 1 : state.lease;
  return {
    state: { ...state, phase: { kind: "stopping", cause: "closed" }, lease },
    effects: [...effects, announce],
  };
}
