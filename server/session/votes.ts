/**
 * What became of each vote of a group. A vote is a validator of the group's raw signatures or
 * children, as submitted; each has one fate, also when the validator is in several inputs. Pure.
 */
import { create } from "@bufbuild/protobuf";
import type { Votes } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { VotesSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices } from "../../proto/bitlist.js";
import { fatesInNoProof } from "../../proto/votes.js";
import { assertNever } from "../errors.js";
import type { VoteFate } from "../reasons.js";
import { childReasons } from "../work/group.js";
import type { DecodedGroup, LeftOut } from "../work/group.js";
import type { Step } from "../work/submission.js";
import type { Ending } from "./session-state.js";

/** Number of a group's votes by fate; absent for 0. */
export type VotesByFate = ReadonlyMap<VoteFate, number>;

/** All inputs that are not in the group's proof, those that decoding left out included. */
export function leftOutOf(ending: Ending, { work }: DecodedGroup): readonly LeftOut[] {
  const result = ending.kind === "result" ? ending.result : undefined;
  return result !== undefined && "leftOut" in result ? result.leftOut : work.leftOut;
}

/**
 * Counts the group's votes by fate; the numbers add up to `group.votes`. Of several inputs with the
 * same validator, one in the proof decides, else a good one, else a raw signature, else a child.
 */
export function votesByFate(group: DecodedGroup, ending: Ending): VotesByFate {
  if (group.isOverLimit) return new Map([["not_started", group.votes]]);
  if (group.work.kind === "merge") return votesOfMerge(group, ending);
  const { raws, children, leftOut: leftOutBefore } = group.work;
  const fates = new Map<number, VoteFate>();
  const settle = (validators: Iterable<number>, fate: VoteFate) => {
    for (const validator of validators) {
      if (!fates.has(validator)) fates.set(validator, fate);
    }
  };
  if (ending.kind === "result" && ending.result.kind === "proved") {
    settle(ending.result.validators, ending.isLate ? "proved_late" : "proved");
  }

  const leftOut = leftOutOf(ending, group);
  const bad = leftOut.filter(({ reason }) => reason !== "covered" && reason !== "shed");
  // Decoding may have left out another signature of a validator whose good one is in `raws`.
  const decoded = new Set(leftOutBefore);
  const found = bad.filter((each) => !decoded.has(each));
  const badRaws = new Set(found.map(({ input }) => input.kind === "raw" && input.validatorIndex));
  const badChildren = new Set(found.map(({ input }) => input.kind === "child" && input.childIndex));
  const good = fateOfGood(ending);
  for (const { index, validators } of children) {
    if (!badChildren.has(index)) settle(validators, good.inChild);
  }
  const goodRaws = raws.validators.filter((validator) => !badRaws.has(validator));
  settle(goodRaws, good.asRaw);

  for (const { reason, input } of bad) {
    if (input.kind === "raw") settle([input.validatorIndex], reason);
  }
  for (const { validators } of children) settle(validators, "bad_child");
  for (const reason of childReasons) settle(bitsToIndices(group.votesLeftOut[reason]), reason);
  return countsOf(fates.values());
}

/**
 * Each component has its own votes, all with one fate: that of a bad one is the reason of its first bad
 * input.
 */
function votesOfMerge(group: DecodedGroup, ending: Ending): VotesByFate {
  const reasons = new Map<number, VoteFate>();
  for (const { input, reason } of leftOutOf(ending, group)) {
    if (input.kind !== "component" || reasons.has(input.componentIndex)) continue;
    reasons.set(input.componentIndex, reason);
  }
  const fate = fateInMerge(ending);
  const counts = new Map<VoteFate, number>();
  group.claimVotes.forEach((votes, at) => {
    const own = reasons.get(at) ?? fate;
    counts.set(own, (counts.get(own) ?? 0) + votes);
  });
  return counts;
}

/** The fate of the votes of a merge's good components. */
function fateInMerge(ending: Ending): VoteFate {
  if (ending.kind !== "result") return ending.kind;
  const { result, isLate } = ending;
  if (result.kind === "proved") return isLate ? "proved_late" : "proved";
  return result.kind === "failed" ? "failed" : "not_started";
}

/** The fate of a vote that is in a good input, and in no proof of the group. */
function fateOfGood(ending: Ending): { inChild: VoteFate; asRaw: VoteFate } {
  const both = (fate: VoteFate) => ({ inChild: fate, asRaw: fate });
  if (ending.kind !== "result") return both(ending.kind);
  switch (ending.result.kind) {
    case "proved":
      return both("shed");
    case "not_started":
    case "failed":
      return both(ending.result.kind);
    case "nothing_to_prove":
    case "rejected":
      return both("covered");
    case "too_few_inputs":
      return { inChild: "covered", asRaw: "not_started" };
    default:
      return assertNever(ending.result);
  }
}

function countsOf(fates: Iterable<VoteFate>): VotesByFate {
  const counts = new Map<VoteFate, number>();
  for (const fate of fates) counts.set(fate, (counts.get(fate) ?? 0) + 1);
  return counts;
}

/** @param readyAtMs when the proof was ready, which decides the step of the votes in it */
export function toVotes(counts: VotesByFate, steps: readonly Step[], readyAtMs: number): Votes {
  const votes = noVotes(steps);
  const of = (fate: VoteFate) => counts.get(fate) ?? 0;
  votes.proved[stepAt(steps, readyAtMs)] = of("proved") + of("proved_late");
  for (const [fate, field] of fatesInNoProof) votes[field] = of(fate);
  return votes;
}

/**
 * Index of the step in which a proof was ready; the number of steps when after the last one. Without
 * steps 0: a vote is worth the same until the fence, and no proof is ready after it.
 */
export function stepAt(steps: readonly Step[], readyAtMs: number): number {
  const step = steps.findIndex(({ untilAtMs }) => readyAtMs < untilAtMs);
  return step === -1 ? steps.length : step;
}

/** The votes of a request of which no group has ended. */
export function noVotes(steps: readonly Step[]): Votes {
  return create(VotesSchema, { proved: Array<number>(Math.max(1, steps.length) + 1).fill(0) });
}

/** The sum of the votes of two groups of one request. */
export function sumOfVotes(a: Votes, b: Votes): Votes {
  const sum = create(VotesSchema, {
    proved: a.proved.map((count, at) => count + (b.proved[at] ?? 0)),
  });
  for (const [, field] of fatesInNoProof) sum[field] = a[field] + b[field];
  return sum;
}
