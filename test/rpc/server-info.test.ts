/** What GetServerInfo says of a device beyond its state. */
import { expect, test, vi } from "vitest";
import { AggregatorClient } from "../../client/index.js";
import { startFakeProver } from "../../server/prover/fake.js";
import { startTestService } from "../helpers/start-service.js";

test("a device has a standby to verify its proofs once one is set up", async () => {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const service = await startTestService(prover, { standby: "1" });
  const client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  try {
    await vi.waitFor(
      async () => {
        const { devices } = await client.getServerInfo();
        expect(devices).toMatchObject([{ id: "cpu", standbyReady: true }]);
      },
      { timeout: 10_000 },
    );
  } finally {
    client.close();
    await service.close();
  }
});
