/** Bitlists of validators, against their definition in the contract. */
import { expect, test } from "vitest";
import { bitsToIndices, hasBit, indicesToBits } from "../../../proto/bitlist.js";

test("the indices of a bitlist are those whose bit is set", () => {
  expect(bitsToIndices(new Uint8Array([0b1000_0001, 0, 0b10]))).toEqual([0, 7, 17]);
  expect(bitsToIndices(new Uint8Array())).toEqual([]);
});

test("indices in any order become the shortest bitlist, and back", () => {
  expect(indicesToBits([17, 0, 7])).toEqual(new Uint8Array([0b1000_0001, 0, 0b10]));
  expect(indicesToBits([])).toEqual(new Uint8Array());
});

test("a bit beyond the end is not set", () => {
  expect([0, 1, 8, 4096].map((index) => hasBit(new Uint8Array([1]), index))).toEqual([
    ...[true, false, false, false],
  ]);
});
