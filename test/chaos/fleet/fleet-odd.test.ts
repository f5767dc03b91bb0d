/** Fleets that nobody plans: doors of one name, mixed pools, hosts that crash again and again. */
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { madeUp } from "../../../tools/fleet/snapshots.js";
import { VotesNode } from "../../../tools/fleet/votes-node.js";
import { Fleet } from "../../../tools/harness/processes/fleet-processes.js";
import type { FleetOptions } from "../../../tools/harness/processes/fleet-processes.js";
import { residentOf } from "../../../tools/harness/processes/processes.js";
import type { ServiceProcess } from "../../../tools/harness/processes/service-process.js";
import { until } from "../chaos-service.js";

const VOTES = 4;
const PROOF_MS = 400;
const FAKE = ["--prover", "fake", "--fake-accepts", "any", "--fake-time", String(PROOF_MS)];

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startFleet(options: FleetOptions, hosts?: number): Promise<Fleet> {
  const fleet = await Fleet.start({ hostFlags: FAKE, ...options });
  closers.push(() => fleet.close());
  await fleet.ready(hosts);
  return fleet;
}

const streamsOf = async (door: ServiceProcess) =>
  Number(/^\S*_streams_open (\d+)/m.exec(await door.metrics())?.[1] ?? NaN);

/** A node with so many groups a slot, whose streams are up. */
async function startNode(doors: readonly ServiceProcess[], id: number, groups: number) {
  const addresses = await Promise.all(doors.map(async (door) => (await door.listening()).nodes));
  const before = await Promise.all(doors.map(streamsOf));
  const node = new VotesNode({
    ...{ id: `node-${id}`, doors: addresses, slotMs: 2500, votesOfGroup: VOTES },
    ...{ deadlineMs: 5000, fenceMs: 8000 },
    snapshot: (slot) => madeUp(id, slot, groups, VOTES),
  });
  closers.push(() => node.stop());
  for (const [at, door] of doors.entries())
    await until(async () => (await streamsOf(door)) > (before[at] ?? 0));
  node.start();
  return node;
}

const slots = (node: VotesNode, count: number) => until(() => node.accounts.length > count);

async function expectNothingLost(node: VotesNode): Promise<void> {
  await node.stop();
  const hit = node.accounts.filter(({ proved, votes, doubled }) => proved < votes || doubled > 0);
  expect(hit, JSON.stringify(hit)).toEqual([]);
}

const proofsOf = async (process: ServiceProcess) => {
  const counts = (await process.metrics()).matchAll(/^\S*_proofs_total\{[^}]*\} (\d+)/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
};

test("two doors of one service id serve their nodes side by side", async () => {
  const fleet = await startFleet({
    flagsOf: (id) => (id.startsWith("door") ? ["--service-id", "twin"] : []),
  });
  const doors = fleet.doors.map(({ process }) => process);
  const nodes = await Promise.all(doors.map((door, id) => startNode([door], id, 2)));
  for (const node of nodes) await slots(node, 3);
  for (const node of nodes) await expectNothingLost(node);
});

test("a door with a device of its own uses it beside remote ones, and those of another proof system for that one", async () => {
  const fleet = await startFleet(
    {
      ...{ doors: 1, hosts: 3, hostFlags: ["--prover", "fake"] },
      // A host has its own proof system: fake proofs of other signatures.
      flagsOf: (id) =>
        id === "host-2" ? [] : [...FAKE, ...(id === "door-0" ? ["--devices", "cpu"] : [])],
    },
    2,
  );
  const [door] = fleet.doors;
  if (door === undefined) throw new RangeError("a door is needed");
  const node = await startNode([door.process], 0, 6);
  await slots(node, 3);
  await expectNothingLost(node);
  const proofs = await Promise.all([door, ...fleet.hosts].map((each) => proofsOf(each.process)));
  expect(Math.min(...proofs.slice(0, 3))).toBeGreaterThan(0);
  expect(proofs[3]).toBe(0);
  expect(door.process.log.filter(({ msg }) => msg === "lane host is left out")).toEqual([]);
});

test("hosts that crash again and again cost no memory, series or log without end, and no vote", async () => {
  const fleet = await startFleet({ doors: 1, hosts: 3 });
  const [door] = fleet.doors;
  const [stable, ...crashing] = fleet.hosts;
  if (door === undefined || stable === undefined) throw new RangeError("parts are missing");
  const node = await startNode([door.process], 0, 1);
  const series = async () => (await door.process.metrics()).split("\n").length;
  const crash = async () => {
    for (const host of crashing) await host.process.kill();
    for (const host of crashing) host.restart();
    await pause(1500);
  };
  for (let nth = 0; nth < 3; nth++) await crash();
  // A host that is away has no series.
  await fleet.ready();
  const before = { bytes: residentOf(door.process.pid).now, series: await series() };
  const lines = door.process.log.length;
  const crashes = 8;
  for (let nth = 0; nth < crashes; nth++) await crash();
  await fleet.ready();
  expect(residentOf(door.process.pid).now - before.bytes).toBeLessThan(32 * 1024 * 1024);
  expect((await series()) - before.series).toBeLessThan(20);
  // Each run: heard, used, gone; and a few lines for each session.
  const sessions = 5 * node.accounts.length;
  expect(door.process.log.length - lines - sessions).toBeLessThan(4 * crashes * crashing.length);
  await expectNothingLost(node);
});
