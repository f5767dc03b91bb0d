/** What outcomes name as left out is held for as long as they are retained, and counted as held. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { clientOver, outcomesOf } from "../../../tools/harness/wire/contract.js";
import { heldOnceEnded } from "../../helpers/held-bytes.js";
import { startTestService } from "../../helpers/start-service.js";
import { dataOf } from "../../../tools/harness/vectors.js";

const INPUTS = 1000;

let service: Service;
beforeAll(async () => {
  const sleep = () => Promise.resolve();
  service = await startTestService(() => startFakeProver({ proveMs: () => 1, sleep }));
});
afterAll(() => service.close());

test("a thousand unknown validators count as held once their group has ended", async () => {
  const heldBytes = async () => (await service.metrics.heldBytes.get()).values[0]?.value;
  const client = clientOver(service, "gRPC");
  const { status } = await client.getServerInfo({});
  const signatureBytes = status?.offers[0]?.signatureBytes ?? 0;
  const rawSignatures = Array.from({ length: INPUTS }, (_, validatorIndex) => ({
    validatorIndex,
    // One with the length of a signature: when none has it, the snapshot is refused.
    signature: new Uint8Array(validatorIndex === 0 ? signatureBytes : 0),
  }));
  const group = { data: dataOf(0), rawSignatures };
  const [outcome] = await outcomesOf(client, { nodeId: "node" }, [group], []);
  expect(outcome?.leftOut.length).toBe(INPUTS);
  await expect.poll(heldBytes).toBe(heldOnceEnded(1, 1, INPUTS));
});
