/** Which votes a group brings, and what they are worth by when their proof is ready. Pure. */
import type { Step } from "../../../server/work/submission.js";
import type { GroupSpec } from "./group-spec.js";

/** Votes for one message, with the weight that they have in a proof. */
export interface WeighedVotes {
  root: string;
  validators: readonly number[];
  weight: number;
}

/** A number of distinct votes, and the sum of what each is worth. */
export interface VoteCount {
  votes: number;
  worth: number;
}

/**
 * The validators whose votes a proof of the whole group has beyond the group's best child: the
 * largest one, which the node could publish as it is.
 */
export function votesOf({ raws, children }: GroupSpec): readonly number[] {
  if (children.length === 0) return raws;
  const largest = Math.max(...children.map(({ length }) => length));
  const best = new Set(children.find(({ length }) => length === largest));
  const all = new Set([...raws, ...children.flat()]);
  return [...all].filter((validator) => !best.has(validator));
}

/** What a vote is worth in a proof that is ready at this instant; 0 after the last step. */
export function weightAt(steps: readonly Step[], readyAtMs: number): number {
  return steps.find(({ untilAtMs }) => readyAtMs < untilAtMs)?.weight ?? 0;
}

/** Counts each pair of validator and message once, with the largest of its weights. */
export function countVotes(parts: Iterable<WeighedVotes>): VoteCount {
  const weights = new Map<string, Map<number, number>>();
  for (const { root, validators, weight } of parts) {
    const own = weights.get(root) ?? new Map<number, number>();
    weights.set(root, own);
    for (const validator of validators) {
      own.set(validator, Math.max(weight, own.get(validator) ?? 0));
    }
  }
  let [votes, worth] = [0, 0];
  for (const own of weights.values()) {
    votes += own.size;
    for (const weight of own.values()) worth += weight;
  }
  return { votes, worth };
}
