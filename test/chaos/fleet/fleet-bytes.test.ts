/**
 * Work of 10 MB, which lane hosts fetch in chunks, over a real engine behind a slow proxy: what a death,
 * a changed byte and a slow engine do to it. The prover is fake.
 */
import { afterEach, expect, test } from "vitest";
import { madeUp } from "../../../tools/fleet/snapshots.js";
import { VotesNode } from "../../../tools/fleet/votes-node.js";
import { Fleet } from "../../../tools/harness/processes/fleet-processes.js";
import type {
  FleetMember,
  FleetOptions,
} from "../../../tools/harness/processes/fleet-processes.js";
import { startNats } from "../../../tools/harness/processes/nats.js";
import { startSlowProxy } from "../../../tools/harness/processes/slow-proxy.js";
import type { SlowProxyOptions } from "../../../tools/harness/processes/slow-proxy.js";
import { until } from "../chaos-service.js";

/** Signatures of 2.5 KB: 10 MB. */
const VOTES = 3900;
const FAKE = ["--prover", "fake", "--fake-accepts", "any", "--fake-time", "200"];

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A fleet whose lane hosts reach the engine through a proxy. */
async function startFleet(slow: SlowProxyOptions, options: FleetOptions = {}) {
  const nats = await startNats();
  closers.push(() => nats.close());
  const [url = ""] = nats.urls;
  const proxy = await startSlowProxy(url.replace("nats://", ""), slow);
  closers.push(() => proxy.close());
  const fleet = await Fleet.start({
    ...{ hostFlags: FAKE, doors: 1, ...options },
    engineOf: (id) => (id.startsWith("host") ? [`nats://localhost:${proxy.port}`] : [...nats.urls]),
  });
  closers.push(() => fleet.close());
  await fleet.ready();
  return { fleet, proxy };
}

/** A node that submits one group, and whose stream is up. */
async function startNode(fleet: Fleet, fenceMs: number): Promise<VotesNode> {
  const node = new VotesNode({
    ...{ id: "node", doors: await fleet.addresses(), slotMs: 120_000, votesOfGroup: VOTES },
    ...{ deadlineMs: fenceMs - 1000, fenceMs },
    snapshot: (slot) => madeUp(0, slot, 1, VOTES),
  });
  closers.push(() => node.stop());
  for (const { process } of fleet.doors) {
    await until(async () => /streams_open\S* [1-9]/.test(await process.metrics()));
  }
  return node;
}

/** Resolves with the first of the hosts that has been assigned an attempt. */
const fetching = (fleet: Fleet): Promise<FleetMember> =>
  until(() =>
    fleet.hosts.find(({ process }) => process.log.some(({ msg }) => msg === "attempt assigned")),
  );

async function expectProved(node: VotesNode): Promise<void> {
  const [account] = node.accounts;
  await until(() => account && account.proved + account.otherwise.length > 0);
  expect(account).toMatchObject({ proved: VOTES, otherwise: [], doubled: 0 });
}

test("a lane host is killed while it fetches: another one fetches and proves", async () => {
  const { fleet } = await startFleet({ bytesPerSecond: 15e6 });
  const node = await startNode(fleet, 20_000);
  node.start();
  const host = await fetching(fleet);
  await host.process.kill();
  await expectProved(node);
  expect(host.process.log.some(({ msg }) => msg === "attempt ended")).toBe(false);
});

test("a door is killed while a host fetches from it: the next door has it proved", async () => {
  const { fleet } = await startFleet({ bytesPerSecond: 15e6 }, { doors: 2 });
  const node = await startNode(fleet, 20_000);
  node.start();
  await fetching(fleet);
  await fleet.doors[0]?.process.kill();
  await expectProved(node);
});

test("a byte that changes on its way: the host refuses the work, fetches it anew, and proves", async () => {
  const { fleet, proxy } = await startFleet({}, { hosts: 1, doorFlags: ["--verify", "same-host"] });
  const node = await startNode(fleet, 20_000);
  proxy.changeByte(30_000);
  node.start();
  const host = await fetching(fleet);
  await expectProved(node);
  expect(host.process.log).toContainEqual(
    expect.objectContaining({ cause: expect.stringContaining("another SHA-256") }),
  );
});

test("an engine 40 ms away with 5 MB a second: what takes its time is proved", async () => {
  const { fleet } = await startFleet({ delayMs: 20, bytesPerSecond: 5e6 });
  const node = await startNode(fleet, 20_000);
  node.start();
  await expectProved(node);
});
