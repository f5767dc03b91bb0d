/** What must hold of the outcome of a fold, of one job or of many: every input is in it, or named once. */
import { bitsToIndices } from "../../../proto/bitlist.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { LeftOutReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { FoldWork } from "../../../server/work/group.js";
import { isGoodChild, isGoodRaw } from "./sim-inputs.js";

/** What is said of a proved fold. */
export type FoldOutcome = Pick<Outcome, "participants" | "leftOut" | "childrenFolded">;

/** @param work as its node submitted it */
export function foldFaults(work: FoldWork, outcome: FoldOutcome): string[] {
  const { leftOut, childrenFolded } = outcome;
  const names = leftOut.map(({ input }) => `${input.case} ${input.value}`);
  const twice = names.filter((name, at) => names.indexOf(name) < at);
  const isIn = new Set(bitsToIndices(outcome.participants));
  const folded = new Set(childrenFolded);
  const raws = work.raws.validators.flatMap((validator, at) =>
    faultOf(`raw signature ${validator}`, {
      isIn: isIn.has(validator),
      isGood: isGoodRaw(work, at),
      badReason: LeftOutReason.BAD_SIGNATURE,
      reasons: reasonsOf(outcome, "validatorIndex", validator),
    }),
  );
  const children = work.children.flatMap((child) =>
    faultOf(`child ${child.index}`, {
      isIn: folded.has(child.index),
      isGood: isGoodChild(work, child),
      badReason: LeftOutReason.BAD_CHILD,
      reasons: reasonsOf(outcome, "childIndex", child.index),
    }),
  );
  return [...twice.map((name) => `${name} is named twice as left out`), ...raws, ...children];
}

interface Said {
  isIn: boolean;
  isGood: boolean;
  badReason: LeftOutReason;
  reasons: readonly LeftOutReason[];
}

function faultOf(input: string, { isIn, isGood, badReason, reasons }: Said): string[] {
  const isCalledBad = reasons.includes(badReason);
  return [
    ...(!isIn && reasons.length === 0 ? [`${input} is neither proved nor named`] : []),
    ...(isGood && isCalledBad ? [`${input} is valid, and named as bad`] : []),
  ];
}

function reasonsOf(
  { leftOut }: FoldOutcome,
  kind: "validatorIndex" | "childIndex",
  value: number,
): LeftOutReason[] {
  return leftOut.flatMap(({ input, reason }) =>
    input.case === kind && input.value === value ? [reason] : [],
  );
}
