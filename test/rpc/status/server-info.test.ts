/** What GetServerInfo says of the service, of its offers and of its devices. */
import { expect, test, vi } from "vitest";
import { AggregatorClient } from "../../../client/index.js";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import { ProofKind, ServiceState } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import { startTestService } from "../../helpers/start-service.js";

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

test("the service says what it offers, and that it drains while its only device is drained", async () => {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const service = await startTestService(prover);
  const client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  try {
    const { status, devices } = await client.getServerInfo();
    expect(status).toMatchObject({ state: ServiceState.READY, detail: "" });
    expect(status?.offers).toMatchObject([
      {
        proofSystem: { scheme: "fake", revision: "fake-1", logInvRate: 0 },
        ...{
          publicKeyBytes: 32,
          signatureBytes: 64,
          kinds: [ProofKind.AGGREGATE, ProofKind.MERGE],
        },
        ...{ logInvRates: [0, 1, 2, 3, 4, 5, 6, 7, 8], childrenMax: limits.childrenMax },
        ...{
          proofBytesMax: limits.proofBytesMax,
          messagesMax: limits.mergeMessagesMax,
          deviceIds: ["cpu"],
          fake: true,
        },
      },
    ]);
    expect(devices).toMatchObject([{ id: "cpu", drained: false }]);
    const [cost] = devices[0]?.learnedCosts ?? [];
    expect(cost).toMatchObject({ kind: ProofKind.AGGREGATE, logInvRate: 0, messages: 1 });

    await callAdmin(service.operatorAddress ?? "", "drainDevice", { deviceId: "cpu" });
    expect(await client.getServerInfo()).toMatchObject({
      status: { state: ServiceState.DRAINING, detail: "device cpu is drained", offers: [{}] },
      devices: [{ drained: true }],
    });
  } finally {
    client.close();
    await service.close();
  }
});
