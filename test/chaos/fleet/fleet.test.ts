/**
 * What docs/operate/fleet.md promises of failures, with real nats-servers, and the doors and lane
 * hosts of a fleet as processes. The prover is fake: no row is about proofs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { until } from "../chaos-service.js";
import { madeUp } from "../../../tools/fleet/snapshots.js";
import { VotesNode } from "../../../tools/fleet/votes-node.js";
import type { SlotAccount } from "../../../tools/fleet/votes-node.js";
import { Fleet } from "../../../tools/harness/processes/fleet-processes.js";
import type {
  FleetMember,
  FleetOptions,
} from "../../../tools/harness/processes/fleet-processes.js";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";

const GROUPS = 2;
const VOTES = 4;
const SLOT_MS = 2500;
const fake = (proofMs: number) => [
  ...["--prover", "fake", "--fake-accepts", "any", "--fake-time", String(proofMs)],
];

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const fleet = await Fleet.start({ hostFlags: fake(800), ...options });
  closers.push(() => fleet.close());
  await fleet.ready();
  return fleet;
}

/** Sum of the values of a metric of the process, over its labels; `labels` is a part of them. */
async function metric({ log }: ServiceProcess, name: string, labels = ""): Promise<number> {
  const probes = log.findLast((line) => line.probes !== undefined)?.probes;
  if (probes === undefined) return 0;
  const answer = await fetch(`http://${probes}/metrics`).catch(() => undefined);
  const lines = (await answer?.text())?.split("\n") ?? [];
  return lines
    .filter((line) => /^[a-z_]+/.exec(line)?.[0] === `lean_aggregator_server_${name}`)
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

/** A node of the doors, by default of all, that has a stream at each. */
async function startNode(
  doors: readonly ServiceProcess[],
  { id = 0, slotMs = SLOT_MS } = {},
): Promise<VotesNode> {
  const addresses = doors.map(async (door) => (await door.listening()).nodes);
  const before = await Promise.all(doors.map((door) => metric(door, "streams_open")));
  const node = new VotesNode({
    ...{ id: `node-${id}`, doors: await Promise.all(addresses), slotMs },
    ...{ deadlineMs: 5000, fenceMs: 8000, votesOfGroup: VOTES },
    snapshot: (slot) => madeUp(id, slot, GROUPS, VOTES),
  });
  let isStopped = false;
  const stop = node.stop.bind(node);
  node.stop = () => {
    isStopped = true;
    return stop();
  };
  closers.push(() => isStopped || stop());
  for (const [at, door] of doors.entries()) await hasStreams(door, (before[at] ?? 0) + 1);
  return node;
}

const hasStreams = (door: ServiceProcess, count = 1) =>
  until(async () => (await metric(door, "streams_open")) >= count);

const processesOf = (members: readonly FleetMember[]) => members.map(({ process }) => process);

/** Resolves with the first of the hosts that has begun a proof and not ended it. */
function proving(hosts: readonly FleetMember[]): Promise<FleetMember> {
  return until(async () => {
    for (const host of hosts) {
      const begun = await metric(host.process, "lane_host_assigned_total");
      if (begun > (await metric(host.process, "lane_host_ended_total"))) return host;
    }
    return undefined;
  });
}

/** Resolves once the node has submitted as many more slots. */
function slots(node: VotesNode, more: number): Promise<unknown> {
  const target = node.accounts.length + more;
  return until(() => node.accounts.length >= target);
}

/** Resolves once a slot that the node has yet to submit is proved. */
function provedAgain(node: VotesNode): Promise<unknown> {
  const from = node.accounts.length;
  const isWhole = ({ proved, votes }: SlotAccount) => proved === votes;
  return until(() => node.accounts.slice(from).some(isWhole));
}

/** Ends the node, and expects each vote of its slots in one proof of one group. */
async function expectNothingLost(node: VotesNode): Promise<void> {
  await node.stop();
  const hit = node.accounts.filter(
    ({ proved, votes, doubled, skipped }) => proved < votes || doubled > 0 || skipped,
  );
  expect(hit).toEqual([]);
  expect(node.accounts.length).toBeGreaterThan(0);
}

function first<T>(list: readonly T[]): T {
  const [one] = list;
  if (one === undefined) throw new RangeError("the list is empty");
  return one;
}

describe("of two doors", () => {
  test.each(["SIGKILL", "SIGSTOP"] as const)(
    "the first gets %s mid-proof: the second adopts what runs, no vote is lost",
    async (signal) => {
      const { doors, hosts } = await startFleet();
      const [door, next] = processesOf(doors);
      if (door === undefined || next === undefined) throw new RangeError("two doors are needed");
      const node = await startNode([door, next]);
      node.start();
      await proving(hosts);
      door.signal(signal);
      await slots(node, 2);
      door.signal("SIGCONT");
      await slots(node, 1);
      expect(await metric(next, "fleet_adopted_total")).toBeGreaterThan(0);
      await expectNothingLost(node);
    },
  );

  test("both are killed: the node's tick says unreachable, and all is well after a restart", async () => {
    const { doors } = await startFleet();
    const node = await startNode(processesOf(doors), { slotMs: 1500 });
    await Promise.all(processesOf(doors).map((door) => door.kill()));
    node.start();
    await until(() => node.accounts.at(-1)?.skipped !== undefined);
    expect(node.accounts.at(-1)?.skipped).toBe("unreachable");
    for (const door of doors) door.restart();
    await provedAgain(node);
  });
});

describe("of two lane hosts", () => {
  test.each([
    ["SIGKILL", "vanished"],
    ["SIGSTOP", "silent"],
  ] as const)(
    "one gets %s mid-proof: it counts as %s, its attempt as a death, its group is proved on the other",
    async (signal, cause) => {
      const fleet = await startFleet({ doors: 1 });
      const door = first(fleet.doors).process;
      const node = await startNode([door]);
      node.start();
      const host = await proving(fleet.hosts);
      host.process.signal(signal);
      await slots(node, 2);
      expect(await metric(door, "fleet_gone_total", `cause="${cause}"`)).toBe(1);
      expect(await metric(door, "fleet_attempts_gone_total")).toBe(1);
      if (signal === "SIGSTOP") host.process.signal("SIGCONT");
      else host.restart();
      await fleet.ready();
      await slots(node, 1);
      await expectNothingLost(node);
      expect(await metric(door, "fleet_faults_total")).toBe(0);
    },
  );

  test("both are killed: the door skips, and proves once they are back", async () => {
    const fleet = await startFleet({ doors: 1 });
    const door = first(fleet.doors).process;
    const node = await startNode([door], { slotMs: 1500 });
    await Promise.all(processesOf(fleet.hosts).map((host) => host.kill()));
    await until(async () => (await metric(door, "fleet_lanes")) === 0);
    node.start();
    await until(() => node.accounts.at(-1)?.skipped !== undefined);
    expect(node.accounts.at(-1)?.skipped).toBe("no_prover");
    for (const host of fleet.hosts) host.restart();
    await provedAgain(node);
  });
});

describe("the engine", () => {
  test("one of its three servers is killed mid-proof, each in turn: nothing is lost", async () => {
    const { nats, doors, hosts } = await startFleet({ nats: { servers: 3 } });
    const node = await startNode(processesOf(doors));
    node.start();
    for (const at of [0, 1, 2]) {
      await proving(hosts);
      await nats.kill(at);
      await slots(node, 1);
      await nats.start(at);
    }
    await expectNothingLost(node);
  });

  test("it is gone for two seconds: a door skips, one with a device proves, what ran is delivered", async () => {
    const { nats, doors, hosts } = await startFleet({ doors: 1, hostFlags: fake(1500) });
    const door = first(doors).process;
    const own = mkdtempSync(join(tmpdir(), "lean-fleet-own-"));
    closers.push(() => rmSync(own, { recursive: true, force: true }));
    const flags = ["--service-id", "door-own", "--runtime-dir", own, "--state-dir", own];
    const withDevice = ServiceProcess.spawn({
      flags: [...flags, "--engine", nats.urls.join(","), ...fake(300)],
    });
    closers.push(() => withDevice.kill());
    await withDevice.ready();
    const node = await startNode([door], { slotMs: 60_000 });
    const later = await startNode([door], { id: 1, slotMs: 2000 });
    const other = await startNode([withDevice], { id: 2, slotMs: 4000 });
    node.start();
    await proving(hosts);
    await nats.kill(0);
    const downAtMs = performance.now();
    // For some 0.3 s it may be one server that restarts: until then a door accepts.
    await until(() => performance.now() - downAtMs > 1000);
    later.start();
    other.start();
    await until(() => later.accounts.at(-1)?.skipped !== undefined);
    expect(later.accounts.at(-1)?.skipped).toBe("no_prover");
    await until(() => (other.accounts.at(0)?.proved ?? 0) === GROUPS * VOTES);
    await until(() => performance.now() - downAtMs > 2000);
    expect(await metric(door, "fleet_engine_up")).toBe(0);
    await nats.start(0);
    await provedAgain(later);
    await expectNothingLost(other);
    const [slot] = node.accounts;
    await until(() => slot?.proved === GROUPS * VOTES);
    expect(slot).toMatchObject({ doubled: 0, otherwise: [] });
  });
});

test("servers, doors and hosts are ended in order and started again, one by one: no vote is lost", async () => {
  const fleet = await startFleet({ hostFlags: fake(500), nats: { servers: 3 } });
  const doors = processesOf(fleet.doors);
  // Both doors are in use: each is the first of one node.
  const nodes = [await startNode(doors), await startNode(doors.toReversed(), { id: 1 })];
  for (const node of nodes) node.start();
  const isWhole = async () => {
    await fleet.ready();
    for (const door of processesOf(fleet.doors)) await hasStreams(door, nodes.length);
    await proving(fleet.hosts);
  };
  await proving(fleet.hosts);
  for (const at of [0, 1, 2]) {
    await fleet.nats.stop(at);
    await fleet.nats.start(at);
    await isWhole();
  }
  for (const member of [...fleet.doors, ...fleet.hosts]) {
    expect(await member.process.stop()).toEqual({ code: 0, signal: null });
    member.restart();
    await isWhole();
  }
  for (const node of nodes) await expectNothingLost(node);
});
