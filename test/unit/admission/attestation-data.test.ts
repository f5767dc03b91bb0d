/** The message that votes are signatures of. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AttestationDataSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { attestationDataRoot } from "../../../server/admission/attestation-data.js";
import { dataOf, rootOf } from "../../../tools/harness/vectors.js";

test("the root is the one that the vectors were signed for, and holds no memory but its own", () => {
  for (const vector of [0, 1, 2, 3]) {
    const root = attestationDataRoot(create(AttestationDataSchema, dataOf(vector)), "data");
    expect(root).toEqual(rootOf(vector));
    expect(root.buffer.byteLength).toBe(32);
  }
});
