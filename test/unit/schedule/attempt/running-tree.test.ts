/** What a tree keeps of its jobs while they wait, and what it makes of them when a lane gets one. */
import { expect, test } from "vitest";
import { MemoryBudget } from "../../../../server/memory-budget.js";
import type { TreeJob } from "../../../../server/work/tree.js";
import { RunningTree } from "../../../../server/schedule/attempt/running-tree.js";
import { noFoldLimits } from "../../../../server/work/fold-limits.js";
import type { ProofResult } from "../../../../server/work/group.js";
import { inputDigest } from "../../../../server/work/input-digest.js";
import { foldOf } from "../../../../tools/harness/decoded-group.js";
import { description } from "../../../helpers/scheduler.js";
import { groupOf, proved, range } from "../../../helpers/tree-lanes.js";

const FENCE_MS = 1e6;

/** The tree of so many raw signatures, two in a leaf. */
function treeOf(raws: number): RunningTree {
  const { work } = groupOf(raws);
  const memory = new MemoryBudget(1e9);
  const assignment = {
    ...{ work: foldOf(work), digest: "whole", deadlineAtMs: FENCE_MS, fenceAtMs: FENCE_MS },
    ...{ steps: [], isFirstOfSession: true, isExploration: false, isRetry: false },
    ...{ mayShed: true, minInputs: 1, rotation: 0 },
  };
  return new RunningTree(
    {
      ...{ work: foldOf(work), assignment, sizes: description },
      part: { raws: range(raws), children: [], covered: [] },
      limits: { ...noFoldLimits, rawsMax: 2 },
    },
    {
      nowMs: () => 0,
      predictMs: () => 1,
      reserve: (bytes) => memory.reserve(bytes),
    },
  );
}

let attempts = 0;
/** Has a lane end the first job that is ready so; returns the job's assignment. */
function end(tree: RunningTree, resultOf: typeof proved) {
  const [job] = tree.ready();
  if (job === undefined) throw new Error("no job is ready");
  const assignment = tree.assignmentOf(job, FENCE_MS);
  tree.started(++attempts, job);
  tree.finished(attempts, resultOf(assignment));
  return assignment;
}

test("a job that waits is known by its digest, and its inputs are copied for a lane only", () => {
  const tree = treeOf(6);
  const digests = tree.ready().map((job) => tree.digestOf(job));
  const copies = (job: TreeJob) => [1, 2].map(() => tree.assignmentOf(job, FENCE_MS).work);
  for (const [at, job] of tree.ready().entries()) {
    const [one, other] = copies(job);
    expect(one).toEqual(other);
    expect(one, "a copy that is kept is in no memory budget").not.toBe(other);
    expect(tree.digestOf(job)).toBe(digests[at]);
    expect(inputDigest(foldOf(one ?? groupOf(1).work), description)).toBe(digests[at]);
  }
});

test("a fold for which a lane has no memory is tried with the proofs that fit, under their digest", () => {
  const tree = treeOf(8);
  while (tree.ready()[0]?.kind === "leaf") end(tree, proved);
  const noMemory = (): ProofResult => ({ kind: "not_started", reason: "memory", leftOut: [] });
  const four = end(tree, noMemory);
  expect(foldOf(four.work).children).toHaveLength(4);
  const three = end(tree, noMemory);
  expect(foldOf(three.work).children).toHaveLength(3);
  while (tree.end === undefined) {
    const { work, digest } = end(tree, proved);
    expect(foldOf(work).children).toHaveLength(2);
    expect(digest).toBe(inputDigest(foldOf(work), description));
  }
  expect(tree.end).toMatchObject({ kind: "proved", validators: range(8) });
});
