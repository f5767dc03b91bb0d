/** What proofs of some sizes are predicted to take on a device, as messages. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LearnedCostSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ProofKind } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { LaneReport } from "../../lane/lane-messages.js";
import { uint32Of } from "../../uint32.js";
import { optimisticMs, pessimisticMs, predictMs } from "../../work/costs/cost-model.js";
import type { Costs } from "../../work/costs/costs.js";
import { modelOf } from "../../work/costs/costs.js";
import { peakBytes } from "../../work/costs/memory-model.js";
import type { Shape } from "../../work/shape.js";

/** Number of raw signatures and of children of a fold. */
export type FoldSize = readonly [raws: number, children: number];

/** Merges whose learned cost is reported, once one was made: messages, each with a proof. */
const merges = [2, 4, 8] as const;

/** @param folds the sizes of folds that are reported, at each rate of which something was learned */
export function learnedCosts(
  { costs, memory }: Pick<LaneReport, "costs" | "memory">,
  folds: readonly FoldSize[],
): MessageInitShape<typeof LearnedCostSchema>[] {
  return shapesOf(costs, folds).map((shape) => {
    const peak = BigInt(Math.round(peakBytes(memory, shape)));
    return { ...learnedCost(costs, shape), peakBytes: peak };
  });
}

/** The shapes of the kinds and rates of which something was learned; folds of the default one always. */
function shapesOf(costs: Costs, folds: readonly FoldSize[]): Shape[] {
  const learned = costs.length === 0 ? [{ kind: "fold", logInvRate: 0 } as const] : costs;
  return learned.flatMap(({ kind, logInvRate }): Shape[] =>
    kind === "fold"
      ? folds.map(([raws, children]) => ({ raws, children, logInvRate }))
      : merges.map((messages) => ({ raws: 0, children: messages, messages, logInvRate })),
  );
}

function learnedCost(costs: Costs, shape: Shape): MessageInitShape<typeof LearnedCostSchema> {
  const { messages, logInvRate = 0 } = shape;
  const model = modelOf(costs, shape);
  return {
    kind: messages === undefined ? ProofKind.AGGREGATE : ProofKind.MERGE,
    logInvRate,
    rawSignatures: shape.raws,
    children: shape.children,
    messages: messages ?? 1,
    proveMs: uint32Of(predictMs(model, shape)),
    proveMsLow: uint32Of(optimisticMs(model, shape)),
    proveMsHigh: uint32Of(pessimisticMs(model, shape)),
  };
}
