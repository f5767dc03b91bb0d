/** `--fake-accepts any`: a client of any scheme is served, by proofs that say that they are fake. */
import { createHash } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LeftOutReason, OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { startTestService } from "../helpers/start-service.js";
import { clientOver, inventedData, outcomesOf } from "../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../tools/harness/wire/contract.js";
import { bits } from "../../tools/harness/vectors.js";

let service: Service;
let client: AggregatorClient;

beforeEach(async () => {
  service = await startTestService(() =>
    startFakeProver({ accepts: "any", proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  client = clientOver(service, "gRPC");
});
afterEach(() => service.close());

/** Keys and signatures of these sizes for validators 0, 1, … */
const inputs = (keyBytes: number[], signatureBytes: number[]) => ({
  keys: keyBytes.map((bytes, at) => ({
    validatorIndex: at,
    publicKey: new Uint8Array(bytes).fill(at + 1),
  })),
  rawSignatures: signatureBytes.map((bytes, at) => ({
    validatorIndex: at,
    signature: new Uint8Array(bytes).fill(at + 101),
  })),
});

test("the offer says 0, which is any size, and that the prover is fake", async () => {
  const { status } = await client.getServerInfo({});
  expect(status?.offers).toMatchObject([{ publicKeyBytes: 0, signatureBytes: 0, fake: true }]);
});

test.each([
  ["52 and 2536", [52, 52], [2536, 2536]],
  ["one", [1, 1], [1, 1]],
  ["9000", [9000, 9000], [9000, 9000]],
  ["each another", [52, 1, 9000], [1, 2536, 9000]],
])("keys and signatures of %s bytes are proved and verified", async (_sizes, ofKeys, ofRaws) => {
  const { keys, rawSignatures } = inputs(ofKeys, ofRaws);
  const node = { nodeId: "any" };
  const groups = [{ data: inventedData(0), rawSignatures }];
  const [outcome] = await outcomesOf(client, node, groups, keys);
  const participants = bits(keys.map(({ validatorIndex }) => validatorIndex));
  expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, fake: true, participants });
  expect(Buffer.from(outcome?.proof.subarray(0, 4) ?? []).toString()).toBe("FAKE");

  const publicKeys = keys.map(({ publicKey }) => publicKey);
  const claim = { node, data: inventedData(0), proof: outcome?.proof ?? new Uint8Array() };
  const verify = async (of: Uint8Array[]) =>
    (await client.verifyAggregate({ ...claim, publicKeys: of })).valid;
  expect(await verify(publicKeys)).toBe(true);
  expect(await verify([...publicKeys].reverse())).toBe(true);
  expect(await verify(publicKeys.slice(1)), "of too few keys").toBe(false);
  expect(await verify([...publicKeys, new Uint8Array(7)]), "of one more key").toBe(false);
});

test("children made by it are folded; what it did not make is left out", async () => {
  const { keys, rawSignatures } = inputs([52, 52, 52], [2536, 2536, 2536]);
  const data = inventedData(1);
  const first = { data, rawSignatures: rawSignatures.slice(0, 2) };
  const [made] = await outcomesOf(client, { nodeId: "first" }, [first], keys);
  const children = [
    { participants: bits([0, 1]), proof: made?.proof ?? new Uint8Array() },
    { participants: bits([0, 2]), proof: new Uint8Array(300_000).fill(1) },
  ];
  const second = { data, rawSignatures: rawSignatures.slice(2), children };
  const [folded] = await outcomesOf(client, { nodeId: "second" }, [second], keys);
  expect(folded).toMatchObject({
    status: OutcomeStatus.PROVED,
    participants: bits([0, 1, 2]),
    childrenFolded: [0],
    leftOut: [{ reason: LeftOutReason.BAD_CHILD, input: { case: "childIndex", value: 1 } }],
  });
});

test("an empty signature is left out, and a covered one has its own digest", async () => {
  const { keys, rawSignatures } = inputs([52, 52, 52], [2536, 0, 2536]);
  const data = inventedData(2);
  const [made] = await outcomesOf(
    client,
    { nodeId: "first" },
    [{ data, rawSignatures: rawSignatures.slice(0, 1) }],
    keys,
  );
  const children = [{ participants: bits([0]), proof: made?.proof ?? new Uint8Array() }];
  const groups = [{ data, rawSignatures, children }];
  const [outcome] = await outcomesOf(client, { nodeId: "second" }, groups, keys);
  const digest = (at: number) =>
    new Uint8Array(
      createHash("sha256")
        .update(rawSignatures[at]?.signature ?? "")
        .digest(),
    );
  expect(outcome?.leftOut).toMatchObject([
    { reason: LeftOutReason.COVERED, input: { value: 0 }, digest: digest(0) },
    { reason: LeftOutReason.BAD_SIGNATURE, input: { value: 1 }, digest: digest(1) },
  ]);
});

test("what is empty altogether is refused, and says so", async () => {
  const node = { nodeId: "empty" };
  const noKeys = inputs([0], [1]);
  const group = { data: inventedData(0), rawSignatures: noKeys.rawSignatures };
  await expect(outcomesOf(client, node, [group], noKeys.keys)).rejects.toThrow(
    "snapshot.keys[0].public_key: is empty, and so is each of the 1 public keys",
  );
  const claim = { node, data: inventedData(0), proof: new Uint8Array(9) };
  await expect(
    client.verifyAggregate({ ...claim, publicKeys: [new Uint8Array(0)] }),
  ).rejects.toThrow("public_keys[0]: is empty");
});
