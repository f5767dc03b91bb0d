/**
 * A device as a synchronous state machine: which prover process proves, which stands by, which
 * attempt runs, and what happens after a prover has died. No clock, timer or I/O in here; `lane.ts`
 * feeds events to the state machine in their order and carries out the effects.
 */
import { assertNever } from "../errors.js";
import { limits } from "../limits.js";
import type {
  HeldProver,
  LaneEffect,
  LaneEvent,
  LaneOptions,
  LanePhase,
  LaneState,
  Step,
} from "./lane-events.js";
import { announce } from "./lane-events.js";
import type { KillCause, OperatorCommand } from "./lane-messages.js";
import { killStandby, restartStandby, standbyFits, warmStandby } from "./lane-standby.js";

/** A failed setup is tried again after 1 s, then after twice as long each time, up to a minute. */
const RETRY_MS = 1000;
const RETRY_MS_MAX = 60_000;
/**
 * A refused library is tried again after ten minutes, or when the operator asks for a restart: only
 * another file can change the result.
 */
const REFUSED_RETRY_MS = 600_000;
export const freshLane: LaneState = {
  phase: { kind: "starting" },
  lease: 1,
  active: null,
  standby: null,
  standbyMissingSinceMs: 0,
  standbyRetryAtMs: 0,
  standbyCause: "",
  setupBytes: undefined,
  startFailures: 0,
  standbyFailures: 0,
  lastProver: 0,
  isDrained: false,
  isRestartDue: false,
  commandsDone: 0,
};

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
      return becomeReady({ ...state, setupBytes: event.residentBytes }, event.prover, nowMs);
    case "exited":
      if (event.prover === standby?.prover) return standbyExited(state, event, nowMs);
      return event.prover === active?.prover ? activeExited(state, event, nowMs) : stay;
    case "assign": {
      // An assignment that came twice or is of an earlier lease gets no answer: replies to stale
      // messages would multiply without bound. The next beat announces the state.
      if (phase.kind === "proving" || event.lease < state.lease) return stay;
      if (phase.kind === "handing_over") return stay;
      if (phase.kind === "refreshing" && !state.isDrained) return handOver(state, event.attempt);
      if (phase.kind !== "idle" || state.isDrained) return burnLease(state);
      return prove(state, active, event.attempt);
    }
    case "kill":
      if (phase.kind === "handing_over" && phase.attempt === event.attempt) {
        // It waits for a refresh to end, which goes on without it.
        if (active?.status === "ready")
          return burnLease({ ...state, phase: { kind: "refreshing" } });
        const stopping: LanePhase = { kind: "stopping", cause: event.reason };
        return burnLease({ ...state, phase: stopping });
      }
      if (phase.kind === "proving" && phase.attempt === event.attempt) {
        return killActive({ ...state, lease: state.lease + 1 }, event.reason);
      }
      // The kill has overtaken its assignment: a new lease makes that assignment stale.
      return event.lease === state.lease && !hasAttempt(phase) ? burnLease(state) : stay;
    case "proof_started":
      if (phase.kind !== "proving" || phase.attempt !== event.attempt) return stay;
      return {
        state: { ...state, phase: { ...phase, overrunAtMs: event.overrunAtMs } },
        effects: [announce],
      };
    case "ended":
      if (phase.kind !== "proving" || phase.attempt !== event.attempt) return stay;
      return attemptEnded(state, event, options);
    case "refreshed":
      if (phase.kind === "handing_over" && active?.status === "ready") {
        return prove(state, active, phase.attempt);
      }
      return phase.kind === "refreshing" ? refreshed(state, event, nowMs, options) : stay;
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

function hasAttempt({ kind }: LanePhase): boolean {
  return kind === "proving" || kind === "handing_over";
}

function prove(state: LaneState, active: HeldProver | null, attempt: number): Step {
  const proving: LanePhase = { kind: "proving", attempt, overrunAtMs: Infinity };
  return {
    state: { ...state, phase: proving, active: active && { ...active, isUsed: true } },
    effects: [{ kind: "run", attempt }, announce],
  };
}

/**
 * An attempt comes while the costs are refreshed: the standby will prove it. Where the standby has gone since,
 * the refresh ends first: a new prover would take longer.
 */
function handOver(state: LaneState, attempt: number): Step {
  const phase: LanePhase = { kind: "handing_over", attempt };
  if (state.standby?.status !== "ready") return { state: { ...state, phase }, effects: [announce] };
  const killed = killActive(state, "restart");
  const prover = state.active?.prover ?? 0;
  return {
    state: { ...killed.state, phase },
    effects: [{ kind: "kill_prover", prover, cause: "refresh" }, announce],
  };
}

function refreshed(
  state: LaneState,
  { residentBytes }: Extract<LaneEvent, { kind: "refreshed" }>,
  nowMs: number,
  { residentBytesMax }: LaneOptions,
): Step {
  if (state.isRestartDue) return killActive(state, "restart");
  return residentBytes > residentBytesMax ? killActive(state, "memory") : idle(state, nowMs);
}

function startActive(state: LaneState): Step {
  const prover = state.lastProver + 1;
  const active: HeldProver = { prover, status: "starting", isUsed: false };
  // A standby that was refused beside the former prover may suit this one.
  const ofStandby = { standbyRetryAtMs: 0, standbyCause: "" };
  return {
    state: { ...state, ...ofStandby, phase: { kind: "starting" }, active, lastProver: prover },
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
  const done = command.role === "active" ? restartActive(state) : restartStandby(state);
  return done.effects.includes(announce) ? done : { ...done, effects: [...done.effects, announce] };
}

/** Replaces the active prover after its running proof; no effect during setup or replacement. */
function restartActive(state: LaneState): Step {
  switch (state.phase.kind) {
    case "idle":
    case "refreshing":
      return killActive(state, "restart");
    case "handing_over":
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

function becomeReady(state: LaneState, prover: number, nowMs: number): Step {
  const { active, standby } = state;
  if (standby?.prover === prover) {
    const ready: HeldProver = { ...standby, status: "ready" };
    return {
      state: { ...state, standby: ready, standbyFailures: 0, standbyCause: "" },
      effects: [announce],
    };
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
  { attempt, residentBytes, isWedged = false }: Extract<LaneEvent, { kind: "ended" }>,
  { residentBytesMax }: LaneOptions,
): Step {
  const next: LaneState = { ...state, lease: state.lease + 1, phase: { kind: "idle" } };
  const report: LaneEffect = { kind: "report", attempt };
  const kept = residentBytes > residentBytesMax ? "memory" : undefined;
  // The attempt is tried again: a prover that did not answer would end that try too.
  const cause = isWedged ? "wedged" : state.isRestartDue ? "restart" : kept;
  if (cause === undefined) return { state: next, effects: [report, announce] };
  const killed = killActive(next, cause);
  return { state: killed.state, effects: [report, ...killed.effects] };
}

type Exited = Extract<LaneEvent, { kind: "exited" }>;

function activeExited(state: LaneState, exited: Exited, nowMs: number): Step {
  const { phase, active } = state;
  const wasReady = active !== null && active.status !== "starting";
  if (phase.kind === "handing_over") return handedOver(state, phase.attempt, exited, nowMs);
  const isProving = phase.kind === "proving";
  const effects: LaneEffect[] = isProving
    ? [deathOf(phase.attempt, exited.why, exited.isOutOfMemory === true ? "memory" : undefined)]
    : [];
  const next: LaneState = {
    ...state,
    active: null,
    isRestartDue: false,
    lease: isProving ? state.lease + 1 : state.lease,
    startFailures: wasReady ? 0 : state.startFailures + 1,
  };
  const succeeded = succeed(next, exited, nowMs);
  return { state: succeeded.state, effects: [...effects, ...succeeded.effects] };
}

function deathOf(attempt: number, why: string, lesson?: "duration" | "memory"): LaneEffect {
  return { kind: "report_death", attempt, why, ...(lesson && { lesson }) };
}

/** The standby proves the attempt; where it has gone too, the attempt is lost with its lease. */
function handedOver(state: LaneState, attempt: number, exited: Exited, nowMs: number): Step {
  const next: LaneState = { ...state, active: null, isRestartDue: false, startFailures: 0 };
  const { standby } = next;
  if (standby?.status !== "ready")
    return succeed({ ...next, lease: next.lease + 1 }, exited, nowMs);
  return prove({ ...next, standby: null, standbyMissingSinceMs: nowMs }, standby, attempt);
}

/** After the end of the active prover: the standby takes over, or a new prover is set up. */
function succeed(state: LaneState, { why, isRefused }: Exited, nowMs: number): Step {
  const { standby, startFailures } = state;
  if (isClosed(state)) return { state, effects: [] };
  if (standby !== null && standby.status !== "killed") {
    const promoted = { ...state, active: standby, standby: null, standbyMissingSinceMs: nowMs };
    if (standby.status === "ready") return idle(promoted, nowMs);
    return { state: { ...promoted, phase: { kind: "starting" } }, effects: [announce] };
  }
  if (startFailures === 0) return startActive(state);
  const retryAtMs = nowMs + (isRefused ? REFUSED_RETRY_MS : backoffMs(startFailures));
  return {
    state: { ...state, phase: { kind: "failed", cause: why, retryAtMs } },
    effects: [announce],
  };
}

function standbyExited(state: LaneState, { why, isRefused }: Exited, nowMs: number): Step {
  const hasFailed = state.standby?.status === "starting";
  const standbyFailures = hasFailed ? state.standbyFailures + 1 : 0;
  const waitMs = isRefused ? REFUSED_RETRY_MS : hasFailed ? backoffMs(standbyFailures) : 0;
  const standbyRetryAtMs = nowMs + waitMs;
  return {
    state: {
      ...state,
      standby: null,
      standbyFailures,
      standbyRetryAtMs,
      standbyCause: hasFailed ? why : "",
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
  const cause = isSilent ? "wedged" : standbyFits(state, options) ? undefined : "memory";
  const checked: Step = cause === undefined ? { state, effects: [] } : killStandby(state, cause);
  const judged = judgeActive(checked.state, event, nowMs, options);
  const next =
    judged ?? refresh(checked.state, event) ?? warmStandby(checked.state, nowMs, options);
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
  if (phase.kind === "refreshing") return isSilent ? killActive(state, "wedged") : undefined;
  if (phase.kind === "handing_over" && active?.status === "ready") {
    return isSilent ? killActive({ ...state, lease: state.lease + 1 }, "wedged") : undefined;
  }
  if (phase.kind !== "proving" || (!isSilent && nowMs < phase.overrunAtMs)) return undefined;
  const what = isSilent ? "it sent no heartbeat" : "its proof took far longer than predicted";
  const killed = killActive({ ...state, lease: state.lease + 1 }, "wedged");
  const why = `the prover was wedged: ${what}`;
  const death = deathOf(phase.attempt, why, isSilent ? undefined : "duration");
  return { state: killed.state, effects: [death, ...killed.effects] };
}

/** Begins to refresh the costs, where that is due and a standby can take over; else undefined. */
function refresh(
  state: LaneState,
  { isRefreshDue }: Extract<LaneEvent, { kind: "beat" }>,
): Step | undefined {
  const { phase, active, standby, isDrained } = state;
  if (!isRefreshDue || phase.kind !== "idle" || active === null) return undefined;
  if (isDrained || standby?.status !== "ready") return undefined;
  return {
    state: { ...state, phase: { kind: "refreshing" }, active: { ...active, isUsed: true } },
    effects: [{ kind: "refresh" }, announce],
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
  const lease = hasAttempt(phase) ? state.lease + 1 : state.lease;
  return {
    state: { ...state, phase: { kind: "stopping", cause: "closed" }, lease },
    effects: [...effects, announce],
  };
}
