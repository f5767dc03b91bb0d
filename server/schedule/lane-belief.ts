/**
 * What the scheduler believes of one lane, from messages that may be lost, delayed, doubled or
 * overtaken. Pure: `(belief, message) → (belief, effects)`. An attempt is held from its assignment
 * until the lane announces a later lease; its result counts once, and only until then.
 */
import { assertNever } from "../errors.js";
import type { ProofResult, StopReason } from "../work/group.js";
import type { Announcement, FromLane } from "../lane/lane-messages.js";

export type LaneBelief =
  | { kind: "down"; lease: number; isBackSoon: boolean }
  | { kind: "idle"; lease: number }
  /** `isOver`: its result has come, or nobody waits for it any more. */
  | {
      kind: "holds";
      lease: number;
      attempt: number;
      isOver: boolean;
      stopReason: StopReason | null;
    };

export type BeliefEffect =
  | { kind: "deliver"; attempt: number; result: ProofResult }
  /** The lane is past the attempt and its result has not come. */
  | { kind: "lost"; attempt: number }
  | { kind: "resend_assign"; attempt: number }
  | { kind: "resend_kill"; attempt: number; reason: StopReason };

export const unknownLane: LaneBelief = { kind: "down", lease: 0, isBackSoon: false };

export function hear(
  belief: LaneBelief,
  message: FromLane,
): { belief: LaneBelief; effects: BeliefEffect[] } {
  switch (message.kind) {
    case "announce":
      return hearAnnouncement(belief, message);
    case "ended": {
      const isCurrent = belief.kind === "holds" && belief.attempt === message.attempt;
      if (!isCurrent || belief.isOver) return { belief, effects: [] };
      const { attempt, result } = message;
      return {
        belief: { ...belief, isOver: true },
        effects: [{ kind: "deliver", attempt, result }],
      };
    }
    default:
      return assertNever(message);
  }
}

/** An idle lane gets an attempt. */
export function assign(belief: LaneBelief, attempt: number): LaneBelief {
  if (belief.kind !== "idle") throw new Error(`a lane that is ${belief.kind} takes no attempt`);
  return { kind: "holds", lease: belief.lease, attempt, isOver: false, stopReason: null };
}

/** The attempt is to be killed; nobody waits for its result. */
export function abandon(belief: LaneBelief, stopReason: StopReason): LaneBelief {
  if (belief.kind !== "holds") throw new Error(`a lane that is ${belief.kind} holds no attempt`);
  return { ...belief, isOver: true, stopReason };
}

function hearAnnouncement(belief: LaneBelief, message: Announcement) {
  if (message.lease < belief.lease) return { belief, effects: [] };
  if (belief.kind !== "holds") return { belief: believe(message), effects: [] };
  if (message.lease > belief.lease) {
    const effects: BeliefEffect[] = belief.isOver
      ? []
      : [{ kind: "lost", attempt: belief.attempt }];
    return { belief: believe(message), effects };
  }
  // The same lease: the lane proves the attempt, or our message has not reached it.
  const { attempt, stopReason } = belief;
  if (stopReason !== null) {
    return { belief, effects: [{ kind: "resend_kill" as const, attempt, reason: stopReason }] };
  }
  const effects: BeliefEffect[] =
    message.attempt === null ? [{ kind: "resend_assign", attempt }] : [];
  return { belief, effects };
}

function believe({ lease, status }: Announcement): LaneBelief {
  if (status === "idle") return { kind: "idle", lease };
  return { kind: "down", lease, isBackSoon: status === "back_soon" };
}
