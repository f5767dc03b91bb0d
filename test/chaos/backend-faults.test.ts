/** What a backend can do to its process, with one that goes wrong on command. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FaultyBackend, memoryGroup } from "../../tools/harness/chaos-backend.js";
import { HealthWatch } from "./chaos-health.js";
import { Oracle } from "./chaos-oracle.js";
import { Site, until } from "./chaos-service.js";
import type { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { dataOf, groupsOfSlot, raws } from "../../tools/harness/vectors.js";

const PROVED = ["PROVED"];
const DIED = ["FAILED", "PROVER_DIED"];
const SET_ASIDE = ["NOT_STARTED", "SET_ASIDE"];

/** Every input is another one: the service remembers inputs that provers died over. */
let signer = 0;
function group(slot = 100) {
  const [index = 0] = groupsOfSlot(slot);
  return { data: dataOf(index), rawSignatures: raws(index, signer, ++signer) };
}

describe("a backend that goes wrong", () => {
  let backend: FaultyBackend;
  let site: Site;
  let service: ServiceProcess;
  let health: HealthWatch;
  let oracle: Oracle;

  beforeAll(async () => {
    backend = new FaultyBackend();
    site = new Site(backend.options);
    service = await site.start({ LEAN_AGGREGATOR_PROVER_MEMORY_MB: "256" });
    health = new HealthWatch(site.address, (await service.listening()).probes);
    oracle = new Oracle(site.address);
  });

  afterEach(async () => {
    expect(health.failures).toEqual([]);
    await oracle.expectNothingLostOrDoubled();
    await oracle.expectOutcomesUnchanged();
  });

  afterAll(async () => {
    try {
      await health.stop();
      await oracle.close();
      service.signal("SIGTERM");
      expect(await service.exited).toEqual({ code: 0, signal: null });
      expect(await site.leftovers()).toEqual([]);
    } finally {
      site.dispose();
      backend.dispose();
    }
  });

  const endings = async (...groups: ReturnType<typeof group>[]) =>
    oracle.endings(await oracle.submit(groups));

  for (const fault of ["abort", "segfault"] as const) {
    test(`${fault} while proving: the group is proved by the standby`, async () => {
      await service.fullStrength();
      backend.orderOnce("prove", fault);
      const active = service.active();
      expect(await endings(group())).toEqual([PROVED]);
      expect(service.provers()).not.toContain(active);
    });

    test(`${fault} while verifying: the active prover verifies, the standby is replaced`, async () => {
      await service.fullStrength();
      backend.orderOnce("verify_signatures", fault);
      const [active, standby] = service.provers();
      expect(await endings(group())).toEqual([PROVED]);
      expect(service.active()).toBe(active);
      await service.fullStrength();
      expect(service.provers()).not.toContain(standby);
    });
  }

  test("abort on one input, twice: its last words are reported, it is set aside, others go on", async () => {
    await service.fullStrength();
    backend.orderForSlot("prove", 102, "abort");
    const fatal = group(102);
    const submitted = await oracle.submit([fatal, group()]);
    expect(await oracle.endings(submitted)).toEqual([DIED, PROVED]);
    const [failed] = await oracle.outcomes(submitted);
    expect(failed?.detail).toMatch(/SIGABRT.*faulty backend: abort in prove/s);
    await service.fullStrength();
    expect(await endings(fatal, group(104))).toEqual([SET_ASIDE, PROVED]);
  });

  test("segfault in verifying one input: it ends two provers and is set aside, others go on", async () => {
    await service.fullStrength();
    backend.orderForSlot("verify_signatures", 104, "segfault");
    const fatal = group(104);
    const submitted = await oracle.submit([fatal]);
    expect(await oracle.endings(submitted)).toEqual([DIED]);
    const [failed] = await oracle.outcomes(submitted);
    expect(failed?.detail).toContain("faulty backend: segfault in verify_signatures");
    await service.fullStrength();
    expect(await endings(fatal, group())).toEqual([SET_ASIDE, PROVED]);
  });

  test("hang while proving: killed once it is far beyond its prediction, the standby proves", async () => {
    await service.fullStrength();
    backend.orderOnce("prove", "hang");
    expect(await endings(group())).toEqual([PROVED]);
    expect(service.endings().at(-1)).toBe("wedged");
  });

  test("hang while verifying: the active prover verifies, the standby is replaced", async () => {
    await service.fullStrength();
    const [, standby] = service.provers();
    backend.orderOnce("verify_signatures", "hang");
    expect(await endings(group())).toEqual([PROVED]);
    await until(() => !service.provers().includes(standby ?? 0));
    await service.fullStrength();
  });

  for (const fault of ["garbage", "close"] as const) {
    test(`${fault} on the prover's channel: that prover is killed, the standby proves`, async () => {
      await service.fullStrength();
      const active = service.active();
      backend.orderOnce("prove", fault);
      expect(await endings(group())).toEqual([PROVED]);
      expect(service.provers()).not.toContain(active);
    });
  }

  test("a proof that lies: it is not delivered, its group fails", async () => {
    await service.fullStrength();
    backend.orderOnce("prove", "lie");
    const submitted = await oracle.submit([group()]);
    expect(await oracle.endings(submitted)).toEqual([["FAILED", "PROVER_ERROR"]]);
    const [outcome] = await oracle.outcomes(submitted);
    expect(outcome?.proof).toHaveLength(0);
  });

  test("a leak beyond the memory ceiling: its proof is delivered, then the prover is replaced", async () => {
    await service.fullStrength();
    const active = service.active();
    backend.orderOnce("prove", "leak");
    expect(await endings(group())).toEqual([PROVED]);
    await until(() => !service.provers().includes(active));
    expect(service.endings().at(-1)).toBe("memory");
    expect(await endings(group())).toEqual([PROVED]);
  });

  test("a leak beyond its control group: killed by the kernel and reported so, the standby proves", async ({
    skip,
    onTestFinished,
  }) => {
    const memory = memoryGroup(200 << 20);
    if (memory === undefined) return skip("this machine lets us make no control group");
    await service.fullStrength();
    onTestFinished(() => memory.dispose());
    memory.hold(service.active());
    backend.orderOnce("prove", "leak");
    expect(await endings(group())).toEqual([PROVED]);
    expect(service.endings().at(-1)).toBe("killed_for_memory");
  });
});
