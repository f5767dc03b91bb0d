/** The message that votes are signatures of. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AttestationDataSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { attestationDataRoot, copyData } from "../../../server/admission/attestation-data.js";
import { dataOf, rootOf } from "../../../tools/harness/vectors.js";

test("the root is the one that the vectors were signed for, and holds no memory but its own", () => {
  for (const vector of [0, 1, 2, 3]) {
    const root = attestationDataRoot(create(AttestationDataSchema, dataOf(vector)), "data");
    expect(root).toEqual(rootOf(vector));
    expect(root.buffer.byteLength).toBe(32);
  }
});

test("a copy has the fields of its message, and nothing else of the request", () => {
  const known = toBinary(AttestationDataSchema, create(AttestationDataSchema, dataOf(0)));
  const unknown = [0x78, 0x01];
  const data = fromBinary(AttestationDataSchema, Uint8Array.of(...known, ...unknown));
  expect(toBinary(AttestationDataSchema, data)).toHaveLength(known.length + unknown.length);
  const copy = copyData(data);
  expect(toBinary(AttestationDataSchema, copy)).toEqual(known);
  expect(copy.head?.root.buffer.byteLength).toBe(32);
});
