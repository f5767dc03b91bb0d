/**
 * The labels of `votes_total`, which say what became of a vote: its fate; for a group that was not
 * started, stopped or failed, the group's reason; for a proof, the step in which it was ready.
 */
import { limits } from "../limits.js";
import type { GroupReason, VoteFate } from "../reasons.js";
import { failureReasons, notStartedReasons, stopReasons, voteFates } from "../reasons.js";

const stepNumbers = Array.from({ length: limits.stepsMax }, (_, at) => String(at + 1));

/** Number of a request's step, from 1; `after`: the proof was ready after the last one. */
export const voteSteps = [...stepNumbers, "after"] as const;

/** When a slot's first proof was ready: see `SlotAggregates`. */
export const slotSteps = [...stepNumbers, "late", "never"] as const;

/** An empty label is absent: a fate without reasons, or a request without steps. */
export interface VoteLabels {
  fate: VoteFate;
  reason: GroupReason | "";
  step: string;
}

const reasonsOf: Partial<Record<VoteFate, readonly GroupReason[]>> = {
  not_started: notStartedReasons,
  stopped: stopReasons,
  failed: failureReasons,
};

/** Every combination of labels that a vote can have. */
export function voteSeries(): Record<keyof VoteLabels, string>[] {
  return voteFates.flatMap((fate): Record<keyof VoteLabels, string>[] => {
    if (fate === "proved" || fate === "proved_late") {
      return ["", ...voteSteps].map((step) => ({ fate, reason: "", step }));
    }
    const reasons: readonly string[] = reasonsOf[fate] ?? [""];
    return reasons.map((reason) => ({ fate, reason, step: "" }));
  });
}

/**
 * The labels of votes with this fate in one group.
 * @param group the reason of the group's end; undefined for a group with a proof or without a fault
 * @param step index of the step in which the proof was ready; the number of steps when after them
 */
export function voteLabels(
  fate: VoteFate,
  group: GroupReason | undefined,
  { step, steps }: { step: number; steps: number },
): VoteLabels {
  if (fate === "proved" || fate === "proved_late") {
    const name = step < steps ? String(step + 1) : "after";
    return { fate, reason: "", step: steps === 0 ? "" : name };
  }
  return { fate, reason: fate in reasonsOf ? (group ?? "") : "", step: "" };
}
