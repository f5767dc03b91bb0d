/** A service that stands still with its provers, as in a paused machine, learns nothing from it. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { costFilePath } from "../../server/lane/costs/cost-file.js";
import { FaultyBackend } from "../../tools/harness/chaos-backend.js";
import type { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { dataOf, groupsOfSlot, raws } from "../../tools/harness/vectors.js";
import { Oracle } from "./chaos-oracle.js";
import { Site } from "./chaos-service.js";

/** Longer than proofs vary, and than a service counts as awake without a turn of its loop. */
const FROZEN_MS = 3000;
const SLOT = 100;

let signer = 0;
function group() {
  const [index = 0] = groupsOfSlot(SLOT);
  return { data: dataOf(index), rawSignatures: raws(index, signer, ++signer) };
}

test.each([
  ["the service and its provers", (service: ServiceProcess) => service.provers()],
  ["the service alone", () => []],
])("%s stopped in the middle of a proof: the learned costs stay", async (_what, also) => {
  const backend = new FaultyBackend();
  const site = new Site(backend.options);
  backend.orderForSlot("prove", SLOT, "slow");
  /** The durations learned, without their age: the peak of memory, learned each time, saves both. */
  const costs = () => {
    const text = readFileSync(costFilePath(site.folder, site.device), "utf8");
    const file = JSON.parse(text) as { costs: { logMs: number[]; scatter: number }[] };
    return file.costs.map(({ logMs, scatter }) => ({ logMs, scatter }));
  };

  /** What is saved after one proof of a service that then ended. */
  const costsAfter = async (disturb: (service: ServiceProcess) => Promise<void>) => {
    const service = await site.start({ LEAN_AGGREGATOR_STANDBY: "0" });
    const oracle = new Oracle(site.address);
    const submitted = await oracle.submitAndStart([group()]);
    await disturb(service);
    await oracle.expectProved(submitted);
    await oracle.close();
    service.signal("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
    return costs();
  };

  try {
    const before = await costsAfter(async () => undefined);
    const after = await costsAfter(async (service) => {
      const pids = [service.pid, ...also(service)];
      pids.forEach((pid) => process.kill(pid, "SIGSTOP"));
      await sleep(FROZEN_MS);
      pids.reverse().forEach((pid) => process.kill(pid, "SIGCONT"));
    });
    expect(after).toEqual(before);
    expect(await site.leftovers()).toEqual([]);
  } finally {
    site.dispose();
    backend.dispose();
  }
});
