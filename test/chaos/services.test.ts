/** Services that end, by a signal or a kill, and services that get in each other's way. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HealthWatch } from "./chaos-health.js";
import { Oracle } from "./chaos-oracle.js";
import { Site, until } from "./chaos-service.js";
import { isRunning } from "../../tools/harness/processes/processes.js";
import { dataOf, groupsOfSlot, raws } from "../../tools/harness/vectors.js";

function group(slot = 100, signers = 16) {
  const [index = 0] = groupsOfSlot(slot);
  return { data: dataOf(index), rawSignatures: raws(index, 0, signers) };
}
/** Three attestation data; a proof of the first takes about 0.9 s on two cores. */
const groups = () => [group(100), group(102, 2), group(104, 2)];

const NO_STANDBY = { LEAN_AGGREGATOR_STANDBY: "0" };
const QUEUED = ["NOT_STARTED", "DRAINING"];
const LONG_MS = "60000";

describe("a service", () => {
  let site: Site;
  let oracle: Oracle;

  beforeEach(() => {
    site = new Site();
    oracle = new Oracle(site.address);
  });

  afterEach(async () => {
    try {
      await oracle.expectNothingLostOrDoubled();
      await oracle.close(0);
      expect(await site.leftovers()).toEqual([]);
    } finally {
      site.dispose();
    }
  });

  test("SIGTERM mid-proof: what runs is delivered, what is queued is not started", async () => {
    const service = await site.start({
      ...NO_STANDBY,
      LEAN_AGGREGATOR_DRAIN_MS: LONG_MS,
    });
    const health = new HealthWatch(site.address, (await service.listening()).probes);
    const submitted = await oracle.submitAndStart(groups());
    await health.stop();
    service.signal("SIGTERM");
    expect(await oracle.endings(submitted)).toEqual([["PROVED"], QUEUED, QUEUED]);
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(health.failures).toEqual([]);
    // In this order: results, streams, processes.
    const inOrder = ["draining", "session ended", "prover ended", "closed"];
    expect(service.log.map(({ msg }) => msg).filter((msg) => inOrder.includes(msg))).toEqual(
      inOrder,
    );
  });

  test("SIGTERM mid-proof, and the bound is over: what runs is stopped, and told", async () => {
    const service = await site.start({
      ...NO_STANDBY,
      LEAN_AGGREGATOR_DRAIN_MS: "50",
    });
    const submitted = await oracle.submitAndStart(groups());
    service.signal("SIGTERM");
    expect(await oracle.endings(submitted)).toEqual([["STOPPED", "DRAINING"], QUEUED, QUEUED]);
    expect(await service.exited).toEqual({ code: 0, signal: null });
  });

  test("a second SIGTERM: exits at once and non-zero, its groups are lost at their fence", async () => {
    const service = await site.start({
      ...NO_STANDBY,
      LEAN_AGGREGATOR_DRAIN_MS: LONG_MS,
    });
    const submitted = await oracle.submitAndStart([group(100, 64)], { fenceMs: 4000 });
    service.signal("SIGTERM");
    await until(() => service.log.some(({ msg }) => msg === "draining"));
    service.signal("SIGTERM");
    const { code } = await service.exited;
    expect(code).toBe(1);
    expect(site.processes()).toEqual([]);
    expect(await oracle.endings(submitted)).toEqual([["LOST"]]);
  });

  test("SIGTERM during setup: exit code 0, and no prover is left", async () => {
    const service = site.spawn();
    await until(() => service.children().length > 0);
    service.signal("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
  });

  test("SIGKILL mid-proof and a restart at once: its groups are lost once, the new run serves", async () => {
    const killed = await site.start(NO_STANDBY);
    const orphan = killed.active();
    const submitted = await oracle.submitAndStart(groups());
    killed.signal("SIGKILL");
    const restarted = site.spawn(NO_STANDBY);
    expect(await oracle.endings(submitted)).toEqual([["LOST"], ["LOST"], ["LOST"]]);
    await restarted.fullStrength(1);
    expect(isRunning(orphan)).toBe(false);
    await oracle.expectProved(await oracle.submit([group()]));
    await oracle.expectOutcomesUnchanged();
    restarted.signal("SIGTERM");
    expect(await restarted.exited).toEqual({ code: 0, signal: null });
  });

  test("a second service on the device or the socket: refused, and the first serves on", async () => {
    const first = await site.start(NO_STANDBY);
    const health = new HealthWatch(site.address, (await first.listening()).probes);
    const onDevice = site.spawn(NO_STANDBY);
    const onSocket = site.spawn({ LEAN_AGGREGATOR_PROVER: "fake" });
    expect(await onDevice.exited).toEqual({ code: 1, signal: null });
    expect(onDevice.stderr).toContain(`is held by process ${String(first.pid)}`);
    expect(await onSocket.exited).toEqual({ code: 1, signal: null });
    expect(onSocket.stderr).toMatch(new RegExp(`pid ${String(first.pid)} .*listens there`));
    await oracle.expectProved(await oracle.submit([group()]));
    expect(health.failures).toEqual([]);
    await health.stop();
    first.signal("SIGTERM");
    expect(await first.exited).toEqual({ code: 0, signal: null });
  });

  test("a listener's path that is a file: refused, and the file stays", async () => {
    writeFileSync(site.socket, "precious");
    const service = site.spawn({ LEAN_AGGREGATOR_PROVER: "fake" });
    expect(await service.exited).toEqual({ code: 2, signal: null });
    expect(service.stderr).toContain("is a file, not a socket");
    expect(readFileSync(site.socket, "utf8")).toBe("precious");
  });

  test("a memory ceiling below every proof: no group starts, and the reason says so", async () => {
    const service = await site.start({ LEAN_AGGREGATOR_PROVER_MEMORY_MB: "256" });
    const refused = groups().map(() => ["NOT_STARTED", "MEMORY"]);
    expect(await oracle.endings(await oracle.submit(groups()))).toEqual(refused);
    await service.fullStrength();
    service.signal("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
  });
});
