/** Measures resident memory of the server and its provers: idle, after proofs and snapshots. */
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { residentOf } from "../harness/processes/processes.js";
import { child } from "../harness/vectors.js";
import type { GroupInit, SnapshotInit } from "../harness/vectors.js";
import { PROVABLE, provableGroup, snapshotOf, unprovableSnapshot } from "./inputs.js";
import type { Measurement } from "./measurement.js";
import type { Row } from "./report.js";
import { withService } from "./with-service.js";
import type { BenchService } from "./with-service.js";

const SNAPSHOTS = 200;
const NODE = { nodeId: "memory", nodeEpoch: 1n };
const [VECTOR] = PROVABLE;

export const memory: Measurement = {
  name: "memory",
  seconds: () => 40,
  run: (_options, progress) =>
    withService(async (service) => {
      const client = new AggregatorClient({ address: service.address });
      const rows = [row("idle", service)];
      const after = async (what: string, run: () => Promise<void>) => {
        await run();
        rows.push(row(`after ${what}`, service));
        progress(`after ${what}`);
      };
      await after("a proof of 64 raws", () => prove(client, provableGroup(VECTOR, 64)));
      const withChild = { ...provableGroup(VECTOR, 32), children: [child(0)] };
      await after("one with a child", () => prove(client, withChild));
      await after(`${SNAPSHOTS} MB of snapshots`, async () => {
        const snapshot = unprovableSnapshot(1_000_000);
        for (let i = 0; i < SNAPSHOTS; i++) await submit(client, snapshot);
      });
      client.close();
      const notes = ["The provers' figures are those of all of them, added up."];
      return { title: "resident memory", rows, goals: [], notes };
    }),
};

function row(state: string, service: BenchService): Row {
  const mb = (bytes: number) => bytes / 1e6;
  const provers = service.process.children().map(residentOf);
  const sum = (which: "now" | "peak") => provers.reduce((all, each) => all + each[which], 0);
  return {
    state,
    serverRssMb: mb(residentOf(service.process.pid).now),
    provers: provers.length,
    proversRssMb: mb(sum("now")),
    proversPeakRssMb: mb(sum("peak")),
  };
}

async function prove(client: AggregatorClient, group: GroupInit): Promise<void> {
  const session = await submit(client, snapshotOf([group]));
  if (session?.summary?.proved !== 1) throw new Error("the service did not prove");
}

async function submit(client: AggregatorClient, snapshot: SnapshotInit) {
  const budgets = { deadlineMs: 60_000, fenceMs: 120_000 };
  const request = { node: NODE, snapshot, priority: Priority.AGGREGATION, ...budgets };
  const { result } = await client.submitSnapshot(request);
  if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
  const { requestId } = result.value;
  const { session } = await client.getSession({ node: NODE, requestId, waitMs: 60_000 });
  return session;
}
