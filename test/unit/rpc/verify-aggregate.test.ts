/** What is refused before a prover is asked to verify. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { VerifyAggregateRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { claimedProof } from "../../../server/rpc/verify-aggregate.js";
import { inventedData } from "../../../tools/harness/wire/contract.js";
import { publicKey } from "../../../tools/harness/vectors.js";
import { description } from "../../helpers/scheduler.js";

const of = (bytes: number) =>
  create(VerifyAggregateRequestSchema, {
    data: inventedData(0),
    publicKeys: [publicKey(0)],
    proof: new Uint8Array(bytes),
  });

test("a proof longer than the prover's own are is refused by its field", () => {
  const prover = { ...description, publicKeyBytes: publicKey(0).length, proofBytesMax: 4096 };
  expect(claimedProof(of(4096), prover)).toMatchObject({ kind: "fold" });
  expect(() => claimedProof(of(4097), prover)).toThrow(
    expect.objectContaining({
      kind: "invalid_argument",
      message: "proof: has 4097 bytes, expected 1 to 4096",
    }),
  );
});
