/** Answers that skip a snapshot, and their reasons as messages have them. */
import { SkipReason } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SkipReason as Reason } from "../reasons.js";
import type { Forecast } from "../schedule/forecast/admission-forecast.js";
import type { SubmitAnswer, Submission } from "../work/submission.js";

export const skipReasonOnWire = {
  in_flight: SkipReason.IN_FLIGHT,
  predicted_miss: SkipReason.PREDICTED_MISS,
  draining: SkipReason.DRAINING,
  overloaded: SkipReason.OVERLOADED,
  no_prover: SkipReason.NO_PROVER,
} as const;

export type Skipped = Extract<SubmitAnswer, { kind: "skipped" }>;

export function skipped(reason: Reason, detail: string): Skipped {
  return { kind: "skipped", reason, detail };
}

/** Names when the snapshot would be proved, unless no lane that is up ever could. */
export function predictedMiss(
  { receivedAtMs, deadlineAtMs }: Submission,
  { startAtMs, finishAtMs }: Forecast,
): Skipped {
  const detail =
    startAtMs < deadlineAtMs
      ? "not even a part of one group could be proved before the fence"
      : "no group could start before the deadline";
  const skip = skipped("predicted_miss", detail);
  if (!Number.isFinite(finishAtMs)) return skip;
  return { ...skip, predictedFinishMs: Math.round(finishAtMs - receivedAtMs) };
}
