/** The reasons of a skip as messages have them. */
import { SkipReason } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

export const skipReasonOnWire = {
  in_flight: SkipReason.IN_FLIGHT,
  predicted_miss: SkipReason.PREDICTED_MISS,
  draining: SkipReason.DRAINING,
  overloaded: SkipReason.OVERLOADED,
  no_prover: SkipReason.NO_PROVER,
} as const;
