/** VerifyAggregate shares a process with the checks of proofs: few calls at once may use it. */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import { startTestService } from "../../helpers/start-service.js";
import { dataOf, publicKey } from "../../../tools/harness/vectors.js";

test("a verification beyond the limit is refused at once, and one is taken when another ends", async () => {
  const waiting: ((isValid: boolean) => void)[] = [];
  const prover = startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  prover.verify = () => new Promise((resolve) => waiting.push(resolve));
  const service = await startTestService(() => prover);
  const client = createClient(
    AggregatorService,
    createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
  );
  const verify = () =>
    client.verifyAggregate({
      node: { nodeId: "verifier" },
      data: dataOf(0),
      publicKeys: [publicKey(0)],
      proof: new Uint8Array(8),
    });
  const taken = Array.from({ length: limits.verifyCallsMax }, verify);
  await expect.poll(() => waiting.length).toBe(limits.verifyCallsMax);
  await expect(verify()).rejects.toThrow(/resource_exhausted.*overloaded/);
  for (const answer of waiting.splice(0)) answer(true);
  for (const { valid } of await Promise.all(taken)) expect(valid).toBe(true);
  const next = verify();
  await expect.poll(() => waiting.length).toBe(1);
  waiting[0]?.(false);
  expect((await next).valid).toBe(false);
  await service.close();
});
