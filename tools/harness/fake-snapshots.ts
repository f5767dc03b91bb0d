/** Snapshots that the fake prover accepts as valid. */
import { fakeSignature } from "../../server/prover/fake/fake.js";
import type { GroupInit } from "./vectors.js";
import { dataOf, groupsOfSlot, publicKey, rootOf, snapshot } from "./vectors.js";

const SLOT = 101;

/**
 * A snapshot of `good` groups with two valid raw signatures each, after `empty` groups without any.
 * Throws when the vectors have too few groups.
 */
export function fakeSnapshot(good: number, empty = 0) {
  const all = groupsOfSlot(SLOT).slice(0, empty + good);
  if (all.length < empty + good) throw new Error(`slot ${SLOT} has ${all.length} groups only`);
  const group = (vector: number, at: number): GroupInit => ({
    data: dataOf(vector),
    rawSignatures: at < empty ? [] : [0, 1].map((validator) => fakeRaw(vector, validator)),
  });
  return snapshot(SLOT, all.map(group));
}

/** A snapshot of one valid group, other work for each `at`. Throws when the vectors have too few. */
export function fakeGroupAlone(at: number) {
  const vector = groupsOfSlot(SLOT)[at];
  if (vector === undefined) throw new Error(`slot ${SLOT} has no group ${at}`);
  const rawSignatures = [0, 1].map((validator) => fakeRaw(vector, validator));
  return snapshot(SLOT, [{ data: dataOf(vector), rawSignatures }]);
}

function fakeRaw(vector: number, validatorIndex: number) {
  const signature = fakeSignature(publicKey(validatorIndex), rootOf(vector), SLOT);
  return { validatorIndex, signature };
}
