/** What a door shows its operator of lane hosts: who is used, left out, distrusted or gone, and why. */
import { expect, test } from "vitest";
import { description } from "../../../helpers/scripted-host.js";
import { fleet, workOf } from "../door.js";

const PROOF = new Uint8Array(100).fill(9);

test("a host is joining, then used with its devices, and at last gone with the cause", async () => {
  const { host, door, run, clock } = fleet();
  const d1 = door();
  const h1 = host("h1", -5000).start({ cpu: {}, gpu: {} });
  await run(50);
  expect((await d1.lanes.fleetView()).hosts).toMatchObject([{ id: "h1", state: "joining" }]);
  await run(250);
  d1.assign("h1.cpu", 1, workOf(1));
  await run(100);
  const used = await d1.lanes.fleetView();
  expect(used.engine).toMatchObject({ isUp: true, cell: "test" });
  expect(used.hosts).toMatchObject([
    { id: "h1", state: "used", cause: "", run: h1.run, attempts: 1, heardAtMs: clock.nowMs() },
  ]);
  expect(used.hosts[0]?.deviceIds).toEqual(["h1.cpu", "h1.gpu"]);
  expect(used.hosts[0]?.offsetMs).toBeCloseTo(5000, 0);
  const killedAtMs = clock.nowMs();
  await h1.kill();
  await run(1000);
  const gone = await d1.lanes.fleetView();
  expect(gone.hosts).toMatchObject([
    { id: "h1", state: "gone", cause: "has vanished: nobody listens for it", attempts: 1 },
  ]);
  expect(gone.hosts[0]?.heardAtMs).toBe(killedAtMs);
  expect(gone.gone).toContainEqual({ cause: "vanished", count: 1 });
  expect(gone.attemptsGone).toBe(1);
  await run(3_600_000);
  expect((await d1.lanes.fleetView()).hosts).toEqual([]);
});

test("one that comes back is listed once, as it is now", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1").start();
  await run(300);
  await h1.kill();
  await run(1000);
  h1.restart();
  await run(1000);
  expect((await d1.lanes.fleetView()).hosts).toMatchObject([{ id: "h1", state: "used" }]);
});

test("a host whose proofs were wrong is distrusted, and counted as that", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  d1.own = { description, verifier: { verify: () => Promise.resolve(false) } };
  const h1 = host("h1").start();
  await run(300);
  for (const attempt of [1, 2, 3]) {
    d1.assign("h1.cpu", attempt, workOf(attempt), attempt);
    await run(10);
    const assigned = h1.ofKind("assign").at(-1);
    if (assigned === undefined) throw new Error("nothing was assigned");
    h1.end(assigned, attempt, h1.proved(PROOF));
    await run(10);
    h1.announce("cpu", { lease: attempt + 1 });
    await run(10);
  }
  await run(1000);
  expect(d1.lanes.views()).toMatchObject([
    { state: "distrusted", cause: "3 of its proofs or verdicts were wrong in ten minutes" },
  ]);
  expect(await d1.count("fleet_hosts", { state: "distrusted" })).toBe(1);
  expect(await d1.count("fleet_hosts", { state: "used" })).toBe(0);
});

test("two hosts of one id are named, with their runs and what to do", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const first = host("h1").start();
  await run(300);
  const second = host("h1").start();
  await run(3000);
  const text =
    `two hosts use the id h1, in the runs ${second.run} and ${first.run}: ` +
    "give each its own --host-id";
  expect(d1.lanes.views()).toMatchObject([{ state: "used", cause: text }]);
  expect(d1.logged).toContainEqual({
    line: { host: "h1", shared_id: 1, detail: text },
    text: "lane host breaks the rules",
  });
  expect(await d1.count("fleet_gone_total", { cause: "restarted" })).toBe(1);
  expect(await d1.count("fleet_faults_total", { fault: "shared_id" })).toBe(1);
});

test("each host has its series, drained devices too, and none once it is gone", async () => {
  const { host, door, run } = fleet();
  const d1 = door();
  const h1 = host("h1", 2000).start({ cpu: { isDrained: true }, gpu: {} });
  await run(1000);
  const drained = async () =>
    (await d1.service.deviceDrained.get()).values.map(({ labels, value }) => ({ labels, value }));
  expect(await d1.count("fleet_host_lanes", { host: "h1" })).toBe(2);
  expect(await d1.count("fleet_host_clock_offset_seconds", { host: "h1" })).toBeCloseTo(-2, 2);
  expect(await drained()).toEqual([
    { labels: { device: "h1.cpu" }, value: 1 },
    { labels: { device: "h1.gpu" }, value: 0 },
  ]);
  await h1.kill();
  await run(2000);
  const text = await d1.registry.metrics();
  expect(text).not.toContain('host="h1"');
});
