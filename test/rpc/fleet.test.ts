/** Services without devices over lane hosts with the fake prover, and the engine in memory. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { callAdmin } from "../../client/rpc/operator-client.js";
import {
  DeviceState,
  OutcomeStatus,
  Priority,
  SkipReason,
  VerifiedBy,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { systemClock } from "../../server/clock.js";
import type { MemoryEngine } from "../../server/engine/memory-engine.js";
import { MemoryBroker } from "../../server/engine/memory-engine.js";
import { decodeFromHost } from "../../server/fleet/wire/codec.js";
import { createHostMetrics } from "../../server/fleet/host/host-metrics.js";
import { LaneHost } from "../../server/fleet/host/lane-host.js";
import { subjects } from "../../server/fleet/wire/subjects.js";
import { LocalLanes } from "../../server/lane/local-lanes.js";
import { createLog } from "../../server/log/log.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import type { Service } from "../../server/service.js";
import { fakeGroupAlone, fakeSnapshot } from "../../tools/harness/fake-snapshots.js";
import {
  keysOfBothRoles,
  mergeOf,
  rawsComponent,
  rootComponent,
} from "../../tools/harness/merges.js";
import { snapshot as snapshotOf } from "../../tools/harness/vectors.js";
import { metricValue } from "../helpers/metric-value.js";
import { CELL as SCRIPTED_CELL, ScriptedHost } from "../helpers/scripted-host.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { listenTestService } from "../helpers/start-service.js";
import { GatedProver } from "./schedule/gated-prover.js";

const CELL = "main";
const node = { nodeId: "node-1" };
const log = createLog("silent");
let broker: MemoryBroker;
let closers: (() => unknown)[];
let runs = 0;

beforeEach(() => {
  broker = new MemoryBroker({ clock: systemClock });
  closers = [];
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
});

class Host {
  readonly prover = new GatedProver();
  readonly engine: MemoryEngine;
  private readonly lanes: LocalLanes;
  private readonly host: LaneHost;

  constructor(id: string) {
    const metrics = createMetrics(["cpu"]);
    this.engine = broker.connect(id);
    this.lanes = new LocalLanes(
      [{ id: "cpu", startProver: this.prover.start }],
      { standbyBytesMax: Infinity, residentBytesMax: 1e9, refreshShare: 0 },
      { clock: systemClock, log, metrics, post: (message, receive) => receive(message) },
    );
    this.host = new LaneHost(
      { cell: CELL, host: { id, run: (++runs).toString(16).padStart(16, "f") } },
      {
        ...{ clock: systemClock, log, engine: this.engine, lanes: this.lanes },
        metrics: createHostMetrics(metrics.registry),
      },
    );
    this.host.open();
    closers.push(() => this.close());
  }

  /** Ends without a word, as a killed process does. */
  kill(): Promise<void> {
    return this.engine.close();
  }

  private async close(): Promise<void> {
    this.prover.endProofs();
    this.host.close();
    await this.lanes.close();
    await this.engine.close();
  }
}

interface Door {
  service: Service;
  client: AggregatorClient;
  engine: MemoryEngine;
}

async function startDoor(
  id: string,
  more: Record<string, unknown> = {},
  cell = CELL,
): Promise<Door> {
  const engine = broker.connect(id);
  const unused = () => {
    throw new Error("this door has no device");
  };
  const settings = { devices: "none", engine: "nats://127.0.0.1:4222", drainMs: 1, ...more };
  const fleet = { engine, cell, verify: "other-host" } as const;
  const service = await listenTestService(unused, settings, { serviceId: id, fleet });
  const client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  closers.push(async () => {
    client.close();
    await service.close();
  });
  return { service, client, engine };
}

/** Submits the group at this place alone; different places are different work. */
async function submitGroup({ client }: Door, at: number, priority: Priority, nodeId = "node-1") {
  const { result } = await client.submitSnapshot({
    ...{ node: { nodeId }, priority, deadlineMs: 10_000, fenceMs: 20_000 },
    snapshot: fakeGroupAlone(at),
  });
  return result;
}

/** A merge of the votes of two messages and a block's root. */
const fakeMergeSnapshot = (...more: ReturnType<typeof rawsComponent>[]) =>
  snapshotOf(
    100,
    [mergeOf(rawsComponent(3), ...more, rawsComponent(4), rootComponent(100))],
    keysOfBothRoles(),
  );

/** Submits one group; equal for every door. */
async function submit(
  { client }: Door,
  fenceMs = 20_000,
  snapshot = fakeSnapshot(1),
): Promise<string> {
  const budgets = { deadlineMs: 10_000, fenceMs };
  const { result } = await client.submitSnapshot({ node, snapshot, ...budgets });
  if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
  return result.value.requestId;
}

async function outcomeOf({ client }: Door, requestId: string) {
  const { session } = await client.getSession({ node, requestId, waitMs: 15_000 });
  return session?.outcomes[0];
}

const count = ({ service }: Door, name: string) =>
  metricValue(service.metrics.registry, `lean_aggregator_server_${name}`);

/** Resolves once some host announces that it holds a proof. */
function heldProof(): Promise<void> {
  const watcher = broker.connect("watcher");
  return new Promise((resolve) => {
    watcher.subscribe(subjects(CELL).fromHost("*"), ({ bytes }) => {
      const message = decodeFromHost(bytes);
      if (message.kind === "announce" && message.report.held.length > 0) resolve();
    });
  });
}

/** The first of the hosts on which a proof has begun. */
const proving = (hosts: readonly Host[], proofs = 1) =>
  Promise.race(hosts.map((host) => host.prover.untilProofs(proofs).then(() => host)));

test("a door without devices has a group proved on a lane host, and verified by another", async () => {
  const hosts = [new Host("h1"), new Host("h2")];
  const door = await startDoor("d1");
  await door.service.ready();
  await expect.poll(async () => (await door.client.getServerInfo({})).devices).toHaveLength(2);
  const requestId = await submit(door);
  (await proving(hosts)).prover.endProofs();
  expect(await outcomeOf(door, requestId)).toMatchObject({
    status: OutcomeStatus.PROVED,
    verifiedBy: VerifiedBy.OTHER_HOST,
  });
});

test("the jobs of a tree are proved on several lane hosts, and one that is killed costs a job a try", async () => {
  const hosts = [new Host("h1"), new Host("h2"), new Host("h3")];
  const door = await startDoor("d1", { leafRawsMax: 1 });
  await door.service.ready();
  await expect.poll(async () => (await door.client.getServerInfo({})).devices).toHaveLength(3);
  const requestId = await submit(door);
  await (await proving(hosts)).kill();
  const ended = async () => {
    for (const { prover } of hosts) prover.endProofs();
    return (await door.client.getSession({ node, requestId })).session?.outcomes.length;
  };
  await expect.poll(ended, { timeout: 15_000 }).toBe(1);
  expect(await outcomeOf(door, requestId)).toMatchObject({
    ...{ status: OutcomeStatus.PROVED, attempt: 1, leftOut: [] },
    votes: { proved: [2, 0] },
  });
  const ofJobs = async (labels: Readonly<Record<string, string>>) =>
    metricValue(door.service.metrics.registry, "lean_aggregator_server_tree_jobs_total", labels);
  expect(await ofJobs({ kind: "leaf", result: "proved" })).toBe(2);
  expect(await ofJobs({ kind: "fold", result: "proved" })).toBe(1);
});

/** Snapshots of one group of each kind. */
const kinds = [
  ["a fold", () => fakeSnapshot(1), 0],
  ["a merge", () => fakeMergeSnapshot(), 3],
] as const;

test.each(kinds)("%s whose lane host is killed is proved on another", async (_, drawn, claims) => {
  const hosts = [new Host("h1"), new Host("h2")];
  const door = await startDoor("d1");
  await door.service.ready();
  await expect.poll(async () => (await door.client.getServerInfo({})).devices).toHaveLength(2);
  const requestId = await submit(door, 20_000, drawn());
  const first = await proving(hosts);
  await first.kill();
  const others = hosts.filter((host) => host !== first);
  (await proving(others)).prover.endProofs();
  const outcome = await outcomeOf(door, requestId);
  expect(outcome).toMatchObject({
    status: OutcomeStatus.PROVED,
    attempt: 2,
    verifiedBy: VerifiedBy.SAME_HOST,
  });
  expect(outcome?.claims).toHaveLength(claims);
});

test("a merge with a bad component is rejected by a lane host, and the component named", async () => {
  const host = new Host("h1");
  const door = await startDoor("d1");
  await door.service.ready();
  const bad = rawsComponent(5);
  for (const { signature } of bad.from.value.signatures) signature.fill(0);
  const requestId = await submit(door, 20_000, fakeMergeSnapshot(bad));
  const outcome = await outcomeOf(door, requestId);
  expect(outcome?.status).toBe(OutcomeStatus.REJECTED);
  expect(outcome?.leftOut.map(({ input }) => input)).toEqual([
    { case: "componentIndex", value: 1 },
  ]);
  expect(host.prover.proofs).toBe(0);
});

test.each(kinds)(
  "%s that a door has begun, the next one adopts: one proof is made",
  async (_, drawn, claims) => {
    const hosts = [new Host("h1"), new Host("h2")];
    const first = await startDoor("d1");
    const second = await startDoor("d2");
    await Promise.all([first.service.ready(), second.service.ready()]);
    await submit(first, 20_000, drawn());
    const maker = await proving(hosts);
    await first.engine.close();
    // Before it has heard what runs, it would have another lane prove it again.
    const states = async () =>
      (await second.client.getServerInfo({})).devices.map(({ state }) => state);
    await expect.poll(states, { timeout: 5000 }).toContain(DeviceState.PROVING);
    const requestId = await submit(second, 20_000, drawn());
    await expect.poll(() => count(second, "fleet_adopted_total")).toBe(1);
    maker.prover.endProofs();
    const outcome = await outcomeOf(second, requestId);
    expect(outcome).toMatchObject({
      status: OutcomeStatus.PROVED,
      verifiedBy: VerifiedBy.OTHER_HOST,
    });
    expect(outcome?.claims).toHaveLength(claims);
    expect(hosts.reduce((sum, { prover }) => sum + prover.proofs, 0)).toBe(1);
  },
);

test("without its engine a door skips, and takes the proof that ended meanwhile once it is back", async () => {
  const hosts = [new Host("h1"), new Host("h2")];
  const door = await startDoor("d1");
  await door.service.ready();
  const requestId = await submit(door);
  const maker = await proving(hosts);
  door.engine.cut("connection refused");
  const snapshot = fakeSnapshot(2);
  // A door keeps its lanes for a moment, in case only one server of the engine is lost.
  await vi.waitFor(async () => {
    const { result } = await door.client.submitSnapshot({
      node,
      snapshot,
      deadlineMs: 9000,
    });
    expect(result.value).toMatchObject({ detail: expect.stringContaining("the engine is down") });
  }, 10_000);
  const held = heldProof();
  maker.prover.endProofs();
  await held;
  door.engine.restore();
  expect(await outcomeOf(door, requestId)).toMatchObject({ status: OutcomeStatus.PROVED });
});

test("a door that closes delivers what runs on a lane host, and leaves nothing there", async () => {
  const host = new Host("h1");
  const door = await startDoor("d1");
  await door.service.ready();
  await submit(door);
  await host.prover.untilProofs(1);
  const closed = door.service.close();
  host.prover.endProofs();
  await closed;
  expect(door.engine.status.detail).toBe("closed");
  expect(await count(door, "fleet_kept_bytes")).toBe(0);
});

test("what runs on a lane host when its door closes goes on there, and the next door adopts it", async () => {
  const host = new Host("h1");
  const [first, second] = [await startDoor("d1"), await startDoor("d2")];
  await Promise.all([first.service.ready(), second.service.ready()]);
  await submit(first);
  await host.prover.untilProofs(1);
  await first.service.close();
  const states = async () =>
    (await second.client.getServerInfo({})).devices.map(({ state }) => state);
  await expect.poll(states, { timeout: 5000 }).toEqual([DeviceState.PROVING]);
  const requestId = await submit(second);
  await expect.poll(() => count(second, "fleet_adopted_total")).toBe(1);
  host.prover.endProofs();
  expect(await outcomeOf(second, requestId)).toMatchObject({ status: OutcomeStatus.PROVED });
  expect(host.prover.proofs).toBe(1);
});

test("a lane host that does not confirm a command: the operator gets the service's answer", async () => {
  const door = await startDoor("d1", {}, SCRIPTED_CELL);
  const host = new ScriptedHost("h1", broker, systemClock).start();
  closers.push(() => host.kill());
  await door.service.ready();
  const request = { deviceId: "h1.cpu", drained: true };
  const answer = callAdmin(door.service.operatorAddress ?? "", "drainDevice", request);
  await expect(answer).rejects.toMatchObject({
    kind: "unavailable",
    message: expect.stringContaining("has not confirmed in time; the command stays pending"),
  });
}, 15_000);

test("across doors, a proposal waits for what another door has running: nothing of that is preempted", async () => {
  const host = new Host("h1");
  const [first, second] = [await startDoor("d1"), await startDoor("d2")];
  await Promise.all([first.service.ready(), second.service.ready()]);
  await submitGroup(first, 0, Priority.BACKLOG);
  await host.prover.untilProofs(1);
  const states = async () =>
    (await second.client.getServerInfo({})).devices.map(({ state }) => state);
  await expect.poll(states).toEqual([DeviceState.PROVING]);
  const { case: answer, value } = await submitGroup(second, 1, Priority.PROPOSAL, "node-2");
  expect(answer).toBe("accepted");
  expect(await count(first, "preemptions_total")).toBe(0);
  expect(host.prover.proofs).toBe(1);
  host.prover.endProofs();
  await host.prover.untilProofs(2);
  host.prover.endProofs();
  const requestId = answer === "accepted" ? value.requestId : "";
  const node = { nodeId: "node-2" };
  const { session } = await second.client.getSession({ node, requestId, waitMs: 15_000 });
  expect(session?.outcomes).toMatchObject([{ status: OutcomeStatus.PROVED }]);
});

test("a quota counts at each door: two doors grant it twice", async () => {
  new Host("h1");
  const policy = join(temporaryFolder(), "policy.json");
  const all = { name: "all", anonymous: true, nodes: ["*"], calls: ["*"], priorities: ["*"] };
  const principals = [{ ...all, quota: { sessionsInFlight: 1 } }];
  writeFileSync(policy, JSON.stringify({ principals }));
  const doors = [await startDoor("d1", { policy }), await startDoor("d2", { policy })];
  for (const door of doors) {
    await door.service.ready();
    expect((await submitGroup(door, 0, Priority.AGGREGATION)).case).toBe("accepted");
    expect(await submitGroup(door, 1, Priority.AGGREGATION, "node-2")).toMatchObject({
      case: "skipped",
      value: { reason: SkipReason.OVERLOADED },
    });
  }
});
