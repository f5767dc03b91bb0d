/** A node too many is refused, and what was reserved for its snapshot is given back. */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import { heldOnceEnded } from "../../helpers/held-bytes.js";
import { startTestService } from "../../helpers/start-service.js";
import { dataOf, snapshot } from "../../../tools/harness/vectors.js";

test("a node beyond the limit is refused and holds no memory", async () => {
  const prover = startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const service = await startTestService(() => prover);
  const client = createClient(
    AggregatorService,
    createGrpcTransport({ baseUrl: `http://${service.addresses[0]}` }),
  );
  const heldBytes = async () => (await service.metrics.heldBytes.get()).values[0]?.value;
  const submit = async (nodeId: string) => {
    const node = { nodeId };
    const request = { node, snapshot: snapshot(100, [{ data: dataOf(0) }]), deadlineMs: 5000 };
    const { result } = await client.submitSnapshot(request);
    if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail ?? ""}`);
    await client.getSession({ node, requestId: result.value.requestId, waitMs: 5000 });
  };
  for (let node = 0; node < limits.nodesMax; node++) await submit(`node-${node}`);
  const held = heldOnceEnded(limits.nodesMax, limits.nodesMax);
  await expect.poll(heldBytes).toBe(held);
  await expect(submit("one-too-many")).rejects.toThrow(/nodes are known already/);
  await expect.poll(heldBytes).toBe(held);
  await service.close();
});
