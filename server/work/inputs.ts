/**
 * How many inputs of a group are worth something: good children, and verified raw signatures that are
 * in none of them. A request may ask for a least number of them. Pure.
 */
import type { FoldWork, GroupWork, LeftOut, ProofResult } from "./group.js";

/**
 * Number of the group's inputs, of which `leftOut` names those that were found bad. An input that was
 * shed or is covered by a child counts as good.
 */
export function countInputs(
  { raws, children }: Pick<FoldWork, "raws" | "children">,
  leftOut: readonly LeftOut[],
): number {
  const bad = leftOut.filter(({ reason }) => !isGood(reason)).map(({ input }) => input);
  const badRaws = new Set(bad.map((input) => input.kind === "raw" && input.validatorIndex));
  const badChildren = new Set(bad.map((input) => input.kind === "child" && input.childIndex));
  const good = children.filter(({ index }) => !badChildren.has(index));
  const inChildren = new Set(good.flatMap(({ validators }) => validators));
  const alone = raws.validators.filter((each) => !badRaws.has(each) && !inChildren.has(each));
  return alone.length + good.length;
}

/** The result for a request that asks for more inputs than the group has; else undefined. */
export function tooFewInputs(
  work: FoldWork,
  leftOut: readonly LeftOut[],
  minInputs: number,
): ProofResult | undefined {
  const inputs = countInputs(work, leftOut);
  if (inputs >= minInputs) return undefined;
  return {
    kind: "too_few_inputs",
    inputs,
    leftOut: leftOut.filter(({ reason }) => !isGood(reason)),
  };
}

/**
 * The result of an attempt for one of its waiters, which asks for `minInputs`: `too_few_inputs`
 * instead of a proof, or of the lack of time for one, when the group has fewer. Of a merge the result
 * itself: it is proved with all its inputs or not at all.
 */
export function judgedByInputs(
  result: ProofResult,
  work: GroupWork,
  minInputs: number,
): ProofResult {
  if (work.kind === "merge") return result;
  if (result.kind !== "proved" && result.kind !== "not_started") return result;
  return tooFewInputs(work, result.leftOut, minInputs) ?? result;
}

const isGood = (reason: LeftOut["reason"]) => reason === "shed" || reason === "covered";
