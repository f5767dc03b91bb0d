/**
 * What the scheduler believes of one lane, from messages that may be lost, delayed, doubled or
 * overtaken. Pure: `(belief, message) → (belief, effects)`. A lane has an attempt from the
 * assignment until the lane announces a later lease, or shows that another door took this one. In
 * that time the first result is delivered; other results are ignored. What this door has adopted on
 * the lane is in `adoptions.ts`.
 */
import { assertNever } from "../errors.js";
import type { Announcement, FromLink, LaneReport } from "../lane/lane-messages.js";
import type { ProofResult, StopReason } from "../work/group.js";

/** What the lane does for the scheduler. In the last three the lane has an attempt. */
export type LaneDuty =
  /** Takes no attempt. */
  | { readonly kind: "down" }
  /** Takes no attempt now, but soon: its prover is being stopped and a standby takes over. */
  | { readonly kind: "back_soon" }
  | { readonly kind: "idle" }
  /** Takes no attempt: it proves another door's, which this door may have adopted. */
  | { readonly kind: "taken" }
  /** The result of the attempt is awaited. */
  | { readonly kind: "assigned"; readonly attempt: number }
  /** The result has come. */
  | { readonly kind: "delivered"; readonly attempt: number }
  /** The attempt is to be killed: nobody waits for its result, or this door does not know it. */
  | { readonly kind: "abandoned"; readonly attempt: number; readonly reason: StopReason };

type DutyWithAttempt = Extract<LaneDuty, { readonly attempt: number }>;

export interface LaneBelief {
  /** Sequence number of the newest announcement received; 0 before the first. */
  readonly sequence: number;
  /** What that announcement said. */
  readonly report: LaneReport;
  readonly duty: LaneDuty;
}

export type BeliefEffect =
  | { kind: "deliver"; attempt: number; result: ProofResult }
  /** The lane has a later lease, and no result of the attempt has arrived. */
  | { kind: "lost"; attempt: number }
  /** Another attempt has the lease of this one, which the lane will not take. */
  | { kind: "taken"; attempt: number }
  /** The lane could not be reached, and never gets the attempt. */
  | { kind: "missed"; attempt: number }
  | { kind: "resend_assign"; attempt: number }
  /** Kills the attempt, for the first time or again. */
  | { kind: "kill"; attempt: number; reason: StopReason };

/** The belief about a lane of which no message has arrived. */
export const unknownLane: LaneBelief = {
  sequence: 0,
  report: {
    lease: 0,
    phase: { kind: "starting", isCalibrating: false },
    isDrained: false,
    isRestartDue: false,
    isStandbyReady: false,
    isRefreshing: false,
    standbyCause: "",
    provers: [],
    description: null,
    costs: [],
    memory: [],
    commandsDone: 0,
    adoptable: [],
  },
  duty: { kind: "down" },
};

interface Step {
  belief: LaneBelief;
  effects: BeliefEffect[];
}

/** @param isAdopted whether this door has adopted this attempt, under this number, on the lane */
export function hear(
  belief: LaneBelief,
  message: FromLink,
  isAdopted: (attempt: number) => boolean = () => false,
): Step {
  switch (message.kind) {
    case "announce":
      return hearAnnouncement(belief, message, isAdopted);
    case "ended": {
      const { duty } = belief;
      const { attempt, result } = message;
      if (duty.kind !== "assigned" || duty.attempt !== attempt) return { belief, effects: [] };
      return {
        belief: { ...belief, duty: { kind: "delivered", attempt } },
        effects: [{ kind: "deliver", attempt, result }],
      };
    }
    case "missed": {
      const { duty } = belief;
      const { attempt } = message;
      if (!("attempt" in duty) || duty.attempt !== attempt) return { belief, effects: [] };
      return {
        belief: { ...belief, duty: { kind: "down" } },
        effects: duty.kind === "assigned" ? [{ kind: "missed", attempt }] : [],
      };
    }
    default:
      return assertNever(message);
  }
}

/** The belief once an idle lane has been given the attempt. Throws when the lane is not idle. */
export function assign(belief: LaneBelief, attempt: number): LaneBelief {
  const { kind } = belief.duty;
  if (kind !== "idle") throw new Error(`a lane that is ${kind} takes no attempt`);
  return { ...belief, duty: { kind: "assigned", attempt } };
}

/** The belief once the lane's attempt is to be killed. Throws when no attempt is assigned. */
export function abandon(belief: LaneBelief, reason: StopReason): LaneBelief {
  const { duty } = belief;
  if (duty.kind !== "assigned") throw new Error(`a lane that is ${duty.kind} has nothing to kill`);
  return { ...belief, duty: { kind: "abandoned", attempt: duty.attempt, reason } };
}

function hearAnnouncement(
  { sequence, report, duty }: LaneBelief,
  message: Announcement,
  isAdopted: (attempt: number) => boolean,
): Step {
  if (message.sequence <= sequence) {
    return { belief: { sequence, report, duty }, effects: [] };
  }
  const heard = { sequence: message.sequence, report: message };
  const hasAttempt = "attempt" in duty;
  // Under the same lease the lane works on the attempt, or has not received our message.
  if (hasAttempt && message.lease === report.lease && !isTaken(duty, message)) {
    return { belief: { ...heard, duty }, effects: repeated(duty, message) };
  }
  const next = dutyOf(message, isAdopted);
  const effects: BeliefEffect[] = [];
  if (duty.kind === "assigned") {
    const kind = message.lease === report.lease ? "taken" : "lost";
    effects.push({ kind, attempt: duty.attempt });
  }
  if (next.kind === "abandoned") effects.push({ ...next, kind: "kill" });
  return { belief: { ...heard, duty: next }, effects };
}

/**
 * Whether another attempt has the lane, under the lease of this one: another door's, or one of this
 * door that it no longer knows. Once the result of this one has come, its lease is used up.
 */
function isTaken(duty: DutyWithAttempt, { phase }: LaneReport): boolean {
  return duty.kind !== "delivered" && phase.kind === "proving" && phase.attempt !== duty.attempt;
}

/** The message to send again, because the report does not show that the lane acts on it. */
function repeated(duty: DutyWithAttempt, { phase }: LaneReport): BeliefEffect[] {
  if (duty.kind === "abandoned") return [{ ...duty, kind: "kill" }];
  if (duty.kind !== "assigned" || phase.kind === "proving") return [];
  return [{ kind: "resend_assign", attempt: duty.attempt }];
}

/** The duty of a lane that has no attempt of this door, as far as this door knows. */
function dutyOf(
  { phase, isDrained, isStandbyReady }: LaneReport,
  isAdopted: (attempt: number) => boolean,
): LaneDuty {
  if (phase.kind === "idle" && !isDrained) return { kind: "idle" };
  if (phase.kind === "proving") {
    const { attempt } = phase;
    const isKnown = attempt === null || isAdopted(attempt);
    return isKnown ? { kind: "taken" } : { kind: "abandoned", attempt, reason: "cancelled" };
  }
  const isBackSoon = phase.kind === "stopping" && phase.cause !== "closed" && isStandbyReady;
  return { kind: isBackSoon ? "back_soon" : "down" };
}
