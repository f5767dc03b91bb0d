/**
 * What the scheduler believes of one lane, from messages that may be lost, delayed, doubled or
 * overtaken. Pure: `(belief, message) → (belief, effects)`. A lane has an attempt from the
 * assignment until the lane announces a later lease. In that time the first result is delivered;
 * other results are ignored.
 */
import { assertNever } from "../errors.js";
import type { Announcement, FromLane, LaneReport } from "../lane/lane-messages.js";
import { freshCostModel } from "../work/cost-model.js";
import type { ProofResult, StopReason } from "../work/group.js";

/** What the lane does for the scheduler. In the last three the lane has an attempt. */
export type LaneDuty =
  /** Takes no attempt. */
  | { readonly kind: "down" }
  /** Takes no attempt now, but soon: its prover is being stopped and a standby takes over. */
  | { readonly kind: "back_soon" }
  | { readonly kind: "idle" }
  /** The result of the attempt is awaited. */
  | { readonly kind: "assigned"; readonly attempt: number }
  /** The result has come. */
  | { readonly kind: "delivered"; readonly attempt: number }
  /** The attempt is to be killed, and nobody waits for its result. */
  | { readonly kind: "abandoned"; readonly attempt: number; readonly reason: StopReason };

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
  | { kind: "resend_assign"; attempt: number }
  | { kind: "resend_kill"; attempt: number; reason: StopReason };

/** The belief about a lane of which no message has arrived. */
export const unknownLane: LaneBelief = {
  sequence: 0,
  report: {
    lease: 0,
    phase: { kind: "starting", isCalibrating: false, waitsFor: null },
    isDrained: false,
    isRestartDue: false,
    isStandbyReady: false,
    standbyCause: "",
    provers: [],
    description: null,
    cost: freshCostModel,
    commandsDone: 0,
    adoptable: [],
  },
  duty: { kind: "down" },
};

interface Step {
  belief: LaneBelief;
  effects: BeliefEffect[];
}

export function hear(belief: LaneBelief, message: FromLane): Step {
  switch (message.kind) {
    case "announce":
      return hearAnnouncement(belief, message);
    case "ended": {
      const { duty } = belief;
      const { attempt, result } = message;
      if (duty.kind !== "assigned" || duty.attempt !== attempt) return { belief, effects: [] };
      return {
        belief: { ...belief, duty: { kind: "delivered", attempt } },
        effects: [{ kind: "deliver", attempt, result }],
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

function hearAnnouncement({ sequence, report, duty }: LaneBelief, message: Announcement): Step {
  if (message.sequence <= sequence) {
    return { belief: { sequence, report, duty }, effects: [] };
  }
  const heard = { sequence: message.sequence, report: message };
  if (duty.kind === "assigned" || duty.kind === "delivered" || duty.kind === "abandoned") {
    // Under the same lease the lane works on the attempt, or has not received our message.
    if (message.lease === report.lease) {
      return { belief: { ...heard, duty }, effects: repeated(duty, message) };
    }
    const { attempt } = duty;
    const effects: BeliefEffect[] = duty.kind === "assigned" ? [{ kind: "lost", attempt }] : [];
    return { belief: { ...heard, duty: dutyOf(message) }, effects };
  }
  return { belief: { ...heard, duty: dutyOf(message) }, effects: [] };
}

/** The message to send again, because the report does not show that the lane acts on it. */
function repeated(duty: LaneDuty, { phase }: LaneReport): BeliefEffect[] {
  if (duty.kind === "abandoned") {
    return [{ kind: "resend_kill", attempt: duty.attempt, reason: duty.reason }];
  }
  if (duty.kind !== "assigned" || phase.kind === "proving") return [];
  return [{ kind: "resend_assign", attempt: duty.attempt }];
}

function dutyOf({ phase, isDrained, isStandbyReady }: LaneReport): LaneDuty {
  if (phase.kind === "idle" && !isDrained) return { kind: "idle" };
  const isBackSoon = phase.kind === "stopping" && phase.cause !== "closed" && isStandbyReady;
  return { kind: isBackSoon ? "back_soon" : "down" };
}
