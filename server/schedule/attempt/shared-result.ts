/**
 * Translates the result of a shared proof for one waiter. Groups with the same digest have the same
 * inputs in the same order, but each node's snapshot has its own validator and child indices.
 */
import { assertNever } from "../../errors.js";
import type { FoldWork, GroupWork, LeftOut, ProofResult } from "../../work/group.js";

/** Returns the result of proving `proved`, with the indices of `own`, which has the same digest. */
export function resultFor(own: GroupWork, proved: GroupWork, result: ProofResult): ProofResult {
  if (result.kind === "failed") return result;
  if (own.kind === "merge" || proved.kind === "merge") return resultForMerge(own, result);
  const translate = own === proved ? identity : translation(own, proved);
  const leftOut = [...own.leftOut, ...result.leftOut.map(translate.leftOut)].sort(byInput);
  switch (result.kind) {
    case "proved": {
      const validators = result.validators.map(translate.validator).sort((a, b) => a - b);
      const childrenFolded = result.childrenFolded.map(translate.child).sort((a, b) => a - b);
      return { ...result, validators, childrenFolded, leftOut };
    }
    case "nothing_to_prove":
    case "rejected": {
      // `own.leftOut`, what decoding left out, differs between waiters, so the result may too.
      const isBad = leftOut.some(({ reason }) => reason !== "covered");
      return { kind: isBad ? "rejected" : "nothing_to_prove", leftOut };
    }
    case "too_few_inputs":
    case "not_started":
      return { ...result, leftOut };
    default:
      return assertNever(result);
  }
}

/**
 * A merge's inputs are named by their components, whose order the digest holds. What decoding left out
 * of it makes it no merge of what its node asks for.
 */
function resultForMerge(
  own: GroupWork,
  result: Exclude<ProofResult, { kind: "failed" }>,
): ProofResult {
  if (own.leftOut.length === 0) return result;
  return { kind: "rejected", leftOut: [...own.leftOut, ...result.leftOut] };
}

/** Orders raw signatures by validator, and after them children by index. */
function byInput({ input: a }: LeftOut, { input: b }: LeftOut): number {
  if (a.kind === "raw" && b.kind === "raw") return a.validatorIndex - b.validatorIndex;
  if (a.kind === "child" && b.kind === "child") return a.childIndex - b.childIndex;
  return a.kind === "raw" ? -1 : 1;
}

interface Translation {
  validator(theirs: number): number;
  child(theirs: number): number;
  leftOut(theirs: LeftOut): LeftOut;
}

const identity: Translation = {
  validator: (index) => index,
  child: (index) => index,
  leftOut: (leftOut) => leftOut,
};

function translation(own: FoldWork, proved: FoldWork): Translation {
  const validators = new Map<number, number>();
  const pair = (theirs: readonly number[], ours: readonly number[]) =>
    theirs.forEach((index, at) => validators.set(index, ours[at] ?? index));
  pair(proved.raws.validators, own.raws.validators);
  proved.children.forEach((child, at) =>
    pair(child.validators, own.children[at]?.validators ?? []),
  );
  const children = new Map(
    proved.children.map((child, at) => [child.index, own.children[at]?.index ?? child.index]),
  );
  const validator = (theirs: number) => validators.get(theirs) ?? theirs;
  const child = (theirs: number) => children.get(theirs) ?? theirs;
  const input = (theirs: LeftOut["input"]): LeftOut["input"] => {
    if (theirs.kind === "raw") {
      return { kind: "raw", validatorIndex: validator(theirs.validatorIndex) };
    }
    return theirs.kind === "child"
      ? { kind: "child", childIndex: child(theirs.childIndex) }
      : theirs;
  };
  return { validator, child, leftOut: (theirs) => ({ ...theirs, input: input(theirs.input) }) };
}
