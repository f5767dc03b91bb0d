/** Votes that the simulated prover takes, in the way in which every version of the service takes them. */
import type { SnapshotInit } from "../../client/index.js";
import { fakeSignature } from "../../server/prover/fake/fake.js";
import { dataOf, groupsOfSlot, publicKey, rootOf, snapshot } from "../harness/vectors.js";

/** The committed vectors have these slots. */
const FIRST_SLOT = 100;
const VECTOR_SLOTS = 8;
const VOTES = 4;

const vectorSlot = (slot: number) => FIRST_SLOT + (slot % VECTOR_SLOTS);

/** The groups of a slot, with four votes each. */
export function fakeGroups(slot: number) {
  return groupsOfSlot(vectorSlot(slot)).map((index) => ({
    data: dataOf(index),
    rawSignatures: Array.from({ length: VOTES }, (_, validatorIndex) => ({
      validatorIndex,
      signature: fakeSignature(publicKey(validatorIndex), rootOf(index), vectorSlot(slot)),
    })),
  }));
}

export function fakeSnapshot(slot: number): SnapshotInit {
  return snapshot(vectorSlot(slot), fakeGroups(slot));
}
