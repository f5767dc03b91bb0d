/** The steps of a request: until when a vote is worth how much. */
import type { Step as WireStep } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { invalid } from "../../errors.js";
import { limits } from "../../limits.js";
import type { Step } from "../../work/submission.js";

/** Throws a `Refusal` when there are too many, or one is out of range or out of order. */
export function stepsOf(steps: readonly WireStep[], receivedAtMs: number): Step[] {
  const { stepsMax, stepWeightMax, fenceMsMax } = limits;
  if (steps.length > stepsMax) {
    throw invalid("steps", `has ${steps.length} entries, at most ${stepsMax}`);
  }
  return steps.map(({ untilMs, weight }, at) => {
    const before = steps[at - 1];
    if (untilMs > fenceMsMax) {
      throw invalid(`steps[${at}].until_ms`, `is ${untilMs}, expected 0 to ${fenceMsMax}`);
    }
    if (weight < 1 || weight > stepWeightMax) {
      throw invalid(`steps[${at}].weight`, `is ${weight}, expected 1 to ${stepWeightMax}`);
    }
    if (before !== undefined && untilMs < before.untilMs) {
      const detail = `is ${untilMs}, below the ${before.untilMs} of the step before`;
      throw invalid(`steps[${at}].until_ms`, detail);
    }
    if (before !== undefined && weight >= before.weight) {
      const detail = `is ${weight}, not below the ${before.weight} of the step before`;
      throw invalid(`steps[${at}].weight`, detail);
    }
    return { untilAtMs: receivedAtMs + untilMs, weight };
  });
}
