/** Numbers of a lane host that fit into no field: every answer of the service can be encoded all the same. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { callAdmin, streamActivity } from "../../client/rpc/operator-client.js";
import type { StreamActivityResponse } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { systemClock } from "../../server/clock.js";
import { MemoryBroker } from "../../server/engine/memory-engine.js";
import type { Owner, SharedReport } from "../../server/fleet/wire/messages.js";
import type { Service } from "../../server/service.js";
import { UINT32_MAX } from "../../server/uint32.js";
import { costBounds } from "../../server/work/costs/cost-bounds.js";
import { freshCostModel } from "../../server/work/costs/cost-model.js";
import { fakeSnapshot } from "../../tools/harness/fake-snapshots.js";
import { CELL, ScriptedHost } from "../helpers/scripted-host.js";
import { listenTestService } from "../helpers/start-service.js";

const HUGE = Number.MAX_SAFE_INTEGER;
const logMs = freshCostModel.logMs.map(() => costBounds.logMax);
const model = { ...freshCostModel, logMs };
const huge: Partial<SharedReport> = {
  lease: HUGE,
  costs: [{ kind: "fold", logInvRate: 0, model, ageMs: 0 }],
  memory: [{ shape: { raws: 1, children: 0 }, bytes: HUGE }],
  provers: [{ role: "active", pid: UINT32_MAX, isReady: true, residentBytes: HUGE }],
};

let broker: MemoryBroker;
let service: Service;
let client: AggregatorClient;
let host: ScriptedHost;

beforeEach(async () => {
  broker = new MemoryBroker({ clock: systemClock });
  const settings = { devices: "none", engine: "nats://127.0.0.1:4222", drainMs: 1 };
  const fleet = { engine: broker.connect("d1"), cell: CELL, verify: "other-host" } as const;
  const unused = () => {
    throw new Error("this door has no device");
  };
  service = await listenTestService(unused, settings, { serviceId: "d1", fleet });
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  host = new ScriptedHost("h1", broker, systemClock).start({ busy: huge, idle: huge });
  await service.ready();
  const { run } = await client.getServerInfo({});
  const owners: Owner[] = [{ id: "d1", run, attempt: HUGE }];
  const proof = { ranMs: 10, shape: { raws: 4096, children: 0 } };
  const phase = {
    kind: "proving",
    digest: "ab".repeat(32),
    owners,
    fenceInMs: 6000,
    proof,
  } as const;
  host.announce("busy", { phase });
});
afterEach(async () => {
  client.close();
  await service.close();
  await host.kill();
});

test("costs, leases and attempts over 32 bits are the highest that a field can have, in each answer", async () => {
  const operator = service.operatorAddress ?? "";
  const running = { attempt: UINT32_MAX, proof: { predictedMs: UINT32_MAX } };
  const busy = { deviceId: "h1.busy", lease: UINT32_MAX, running };
  await expect
    .poll(async () => (await callAdmin(operator, "listProvers", {})).devices)
    .toMatchObject([busy, { deviceId: "h1.idle" }]);

  const { devices } = await client.getServerInfo({});
  const highest = { proveMs: UINT32_MAX, proveMsHigh: UINT32_MAX };
  expect(devices.map(({ learnedCosts }) => learnedCosts[3])).toMatchObject([highest, highest]);

  const answers: StreamActivityResponse[] = [];
  const { signal } = new AbortController();
  for await (const answer of streamActivity(operator, { noFollow: true, signal }))
    answers.push(answer);
  const last = answers.at(-1);
  expect(last?.devices.map(({ status }) => status)).toMatchObject([busy, {}]);
  expect(last?.devices[0]?.learnedCosts.at(-1)).toMatchObject({ proveMs: UINT32_MAX });
  const lanes = answers.flatMap(({ activities }) => activities.map(({ event }) => event));
  expect(lanes).toContainEqual(
    expect.objectContaining({
      case: "lane",
      value: expect.objectContaining({ attempt: UINT32_MAX }),
    }),
  );
});

test("a snapshot that is accepted has a predicted finish, however long its proof is said to take", async () => {
  const node = { nodeId: "node-1" };
  const { result } = await client.submitSnapshot({ node, snapshot: fakeSnapshot(2) });
  expect(result).toMatchObject({ case: "accepted", value: { predictedFinishMs: UINT32_MAX } });
});
