/** One proof for several waiters: each gets it in its own numbers. */
import { expect, test } from "vitest";
import type { FoldWork, ProofResult } from "../../../../server/work/group.js";
import { resultFor } from "../../../../server/schedule/attempt/shared-result.js";

const digest = new Uint8Array(32);
const key = (...bytes: number[]) => new Uint8Array(bytes);

function work(raws: number[], child: number[], childIndex: number, leftOut: FoldWork["leftOut"]) {
  return {
    kind: "fold" as const,
    message: { root: new Uint8Array(32), slot: 1 },
    raws: { validators: raws, keys: key(1, 2, 3), signatures: key(1, 2, 3) },
    children: [{ index: childIndex, validators: child, keys: key(4, 5), proof: key(9) }],
    leftOut,
    logInvRate: 0,
  } satisfies FoldWork;
}
const theirs = work([5, 6, 7], [8, 9], 0, []);
const unknown = {
  reason: "unknown_key",
  input: { kind: "raw", validatorIndex: 3 },
  digest,
} as const;
const ours = work([70, 50, 60], [1, 2], 4, [unknown]);

const proved: ProofResult = {
  kind: "proved",
  proof: key(1),
  validators: [5, 7, 8, 9],
  childrenFolded: [0],
  leftOut: [{ reason: "bad_signature", input: { kind: "raw", validatorIndex: 6 }, digest }],
  proveMs: 3,
};

test("participants, children and inputs left out are in the waiter's numbering", () => {
  expect(resultFor(ours, theirs, proved)).toEqual({
    ...proved,
    validators: [1, 2, 60, 70],
    childrenFolded: [4],
    leftOut: [
      unknown,
      { reason: "bad_signature", input: { kind: "raw", validatorIndex: 50 }, digest },
    ],
  });
});

test("the waiter whose work was proved gets the result unchanged", () => {
  expect(resultFor(theirs, theirs, proved)).toEqual(proved);
});

test("nothing to prove is a rejection for a waiter whose own inputs were bad", () => {
  const nothing: ProofResult = { kind: "nothing_to_prove", leftOut: [] };
  expect(resultFor(theirs, theirs, nothing).kind).toBe("nothing_to_prove");
  expect(resultFor(ours, theirs, nothing)).toEqual({ kind: "rejected", leftOut: [unknown] });
});

test("a failure names no input and is the same for every waiter", () => {
  const failed: ProofResult = { kind: "failed", reason: "prover_died", detail: "", deaths: 1 };
  expect(resultFor(ours, theirs, failed)).toBe(failed);
});
