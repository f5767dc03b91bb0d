/** Bitlists of validators, against their definition in the contract. */
import { BitArray, BitListType } from "@chainsafe/ssz";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bitsToIndices,
  decodeSszBitlist,
  encodeSszBitlist,
  hasBit,
  indicesToBits,
} from "../../../client/index.js";

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

test("an SSZ bitlist is encoded and decoded as by an SSZ library", () => {
  const ssz = new BitListType(4096);
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 40 }), (values) => {
      const indices = values.flatMap((isSet, at) => (isSet ? [at] : []));
      const encoded = encodeSszBitlist(indices, values.length);
      expect(encoded).toEqual(ssz.serialize(BitArray.fromBoolArray(values)));
      const decoded = decodeSszBitlist(encoded);
      expect(decoded?.length).toBe(values.length);
      expect(bitsToIndices(decoded?.bits ?? new Uint8Array())).toEqual(indices);
    }),
  );
});

test.each([[[]], [[0]], [[255, 0]]])(
  "bytes without a length bit are no SSZ bitlist: %j",
  (bytes) => {
    expect(decodeSszBitlist(Uint8Array.from(bytes))).toBeUndefined();
  },
);

test("decoding leaves the bytes that it was given as they were", () => {
  const bytes = Uint8Array.of(0b11, 0b101);
  expect(decodeSszBitlist(bytes)).toEqual({ bits: Uint8Array.of(0b11, 0b1), length: 10 });
  expect(bytes).toEqual(Uint8Array.of(0b11, 0b101));
});

test("a validator outside the length has no place in an SSZ bitlist", () => {
  expect(() => encodeSszBitlist([3, 8], 8)).toThrow(
    new RangeError("validator 8 is outside a bitlist of length 8"),
  );
});
