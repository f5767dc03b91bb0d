/**
 * Real provers and the service killed in the middle of a merge that has the proposer's raw signature in
 * the same call: all or nothing, one outcome, judged at the adapter.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { isRunning } from "../../tools/harness/processes/processes.js";
import { dataOf, raw } from "../../tools/harness/vectors.js";
import { expectWhole, realMerge } from "./chaos-merges.js";
import { Oracle } from "./chaos-oracle.js";
import { ChaosRandom } from "./chaos-random.js";
import { Site, until } from "./chaos-service.js";

/** Provers are set up again and again, which takes a busy machine minutes. */
const TIMEOUT_MS = 240_000;
/** A merge is two to four times as long as a fold. */
const PATIENT = { deadlineMs: 60_000, fenceMs: 120_000 };
const random = new ChaosRandom("merges");

let site: Site;
let service: ServiceProcess;
let oracle: Oracle;

beforeAll(() => {
  site = new Site();
  service = site.spawn();
  oracle = new Oracle(site.address);
});

beforeEach(() => service.fullStrength(), TIMEOUT_MS);

afterEach(async () => {
  await oracle.expectNothingLostOrDoubled();
  await oracle.expectOutcomesUnchanged();
});

afterAll(async () => {
  try {
    await oracle.close(0);
    service.signal("SIGTERM");
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(await site.leftovers()).toEqual([]);
  } finally {
    site.dispose();
  }
});

describe("in the middle of a merge", () => {
  test.each([
    ["as its inputs are verified", 0, 60],
    ["as it is proved", 300, 2000],
  ])(
    "the active prover is killed %s: the standby merges all of it",
    async (_, low, high) => {
      const standby = service.standby();
      const merge = realMerge(random.between(0, 50));
      const submitted = await oracle.mergeAndStart(merge, PATIENT);
      await random.moment(low, high);
      process.kill(service.active(), "SIGKILL");
      const [outcome] = await oracle.expectProved(submitted);
      expectWhole(merge, outcome);
      expect(service.active()).toBe(standby);
    },
    TIMEOUT_MS,
  );

  test(
    "both provers are killed: it ends once, whole or not at all, and the next is merged",
    async () => {
      const first = realMerge(0);
      const submitted = await oracle.mergeAndStart(first, PATIENT);
      await random.moment(300, 2000);
      const killed = service.provers();
      for (const pid of killed) process.kill(pid, "SIGKILL");
      await until(() => service.provers().every((pid) => !killed.includes(pid)));
      await service.fullStrength(1);
      const [ending] = await oracle.endings(submitted);
      expect([["PROVED"], ["FAILED", "PROVER_DIED"]]).toContainEqual(ending);
      const next = realMerge(20);
      await service.fullStrength(1);
      const [outcome] = await oracle.expectProved(await oracle.merge(next, PATIENT));
      expectWhole(next, outcome);
    },
    TIMEOUT_MS,
  );

  test(
    "its node leaves: the prover is killed, and votes that waited are proved",
    async () => {
      const active = service.active();
      const leaving = new Oracle(site.address, "leaving");
      const submitted = await leaving.mergeAndStart(realMerge(10), PATIENT);
      const votes = { data: dataOf(0), rawSignatures: [raw(0, 0), raw(0, 1)] };
      const waiting = await oracle.submit([votes]);
      await leaving.close(0); // an adapter that closes cancels what is in flight
      expect(await leaving.endings(submitted)).toEqual([["LOST"]]);
      await until(() => !isRunning(active));
      await oracle.expectProved(waiting);
    },
    TIMEOUT_MS,
  );

  test(
    "the service is killed and started again: it ends once, lost or submitted again, and the new run merges the same",
    async () => {
      const merge = realMerge(30);
      const orphan = service.active();
      const submitted = await oracle.mergeAndStart(merge, PATIENT);
      service.signal("SIGKILL");
      await service.exited;
      service = site.spawn();
      const [ending] = await oracle.endings(submitted);
      expect([["LOST"], ["PROVED"]]).toContainEqual(ending);
      await service.fullStrength(1);
      expect(isRunning(orphan)).toBe(false);
      const [outcome] = await oracle.expectProved(await oracle.merge(merge, PATIENT));
      expectWhole(merge, outcome);
    },
    TIMEOUT_MS,
  );
});
