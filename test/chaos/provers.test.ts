/** Real provers killed, stopped and fenced in the middle of things; judged at the adapter. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PartialPolicy } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { HealthWatch } from "./chaos-health.js";
import { Oracle } from "./chaos-oracle.js";
import { ChaosRandom } from "./chaos-random.js";
import { Site, until } from "./chaos-service.js";
import { isRunning } from "../../tools/harness/processes/processes.js";
import type { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { dataOf, raw, validatorCount } from "../../tools/harness/vectors.js";

/** A proof of so many takes about 1.2 s on two cores. */
const SIGNERS = 32;
const random = new ChaosRandom("provers");

/** Every input is another one: the service remembers inputs that provers died over. */
let first = 0;
function group(signers = SIGNERS) {
  first++;
  const validators = Array.from({ length: signers }, (_, at) => (first + at) % validatorCount);
  return { data: dataOf(0), rawSignatures: validators.map((validator) => raw(0, validator)) };
}

describe("real provers", () => {
  let site: Site;
  let service: ServiceProcess;
  let health: HealthWatch;
  let oracle: Oracle;

  const send = (signal: NodeJS.Signals, ...pids: number[]) =>
    pids.forEach((pid) => process.kill(pid, signal));
  const provers = () => ({ active: service.active(), standby: service.standby() });
  /** Resolves once the log has the end of each: it may come later than the end of the process. */
  const ended = (...pids: number[]) =>
    until(() => !service.provers().some((pid) => pids.includes(pid)));

  beforeAll(async () => {
    site = new Site();
    service = site.spawn();
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
      expect(health.probes).toBeGreaterThan(100);
      await health.stop();
      await oracle.close();
      service.signal("SIGTERM");
      expect(await service.exited).toEqual({ code: 0, signal: null });
      expect(await site.leftovers()).toEqual([]);
    } finally {
      site.dispose();
    }
  });

  test("active prover killed during setup: it is set up again, then proves", async () => {
    const [pid = 0] = await until(() => service.children().length > 0 && service.children());
    send("SIGKILL", pid);
    await until(() => service.endings().length > 0);
    expect(service.endings()).toEqual(["start_failed"]);
    await service.fullStrength(1);
    await oracle.expectProved(await oracle.submit([group()]));
  });

  describe("at full strength", () => {
    beforeEach(() => service.fullStrength());

    test("active prover killed while inputs are verified: the standby proves", async () => {
      const { active, standby } = provers();
      send("SIGSTOP", standby); // it holds the verification up
      const submitted = await oracle.submitAndStart([group()]);
      send("SIGKILL", active);
      await ended(active);
      send("SIGCONT", standby);
      await oracle.expectProved(submitted);
      expect(service.active()).toBe(standby);
    });

    test.each([1, 2, 3])("active prover killed mid-proof (%i): the standby proves", async () => {
      const { active, standby } = provers();
      const submitted = await oracle.submitAndStart([group(63)]);
      await random.moment(50, 800);
      send("SIGKILL", active);
      await oracle.expectProved(submitted);
      expect(service.active()).toBe(standby);
    });

    test("active prover killed as its proof comes over: the group ends once", async () => {
      const [measured] = await oracle.expectProved(await oracle.submit([group()]));
      const proveMs = measured?.proveMs ?? 0;
      await service.fullStrength();
      const submitted = await oracle.submitAndStart([group()]);
      const active = service.active();
      await random.moment(proveMs - 100, proveMs + 100);
      send("SIGKILL", active);
      await ended(active);
      await oracle.expectProved(submitted);
    });

    test("standby killed while it waits: it is replaced, the active prover goes on", async () => {
      const { active, standby } = provers();
      send("SIGKILL", standby);
      await ended(standby);
      await oracle.expectProved(await oracle.submit([group()]));
      await service.fullStrength();
      expect(service.active()).toBe(active);
    });

    test("standby killed while it verifies: the active prover verifies, then proves", async () => {
      const { active, standby } = provers();
      send("SIGSTOP", standby);
      const submitted = await oracle.submitAndStart([group()]);
      send("SIGKILL", standby);
      await oracle.expectProved(submitted);
      expect(service.active()).toBe(active);
    });

    test("both provers killed mid-proof: the group ends once, the next is proved", async () => {
      const { active, standby } = provers();
      const submitted = await oracle.submitAndStart([group()]);
      await random.moment(50, 800);
      send("SIGKILL", active, standby);
      const [ending] = await oracle.endings(submitted);
      expect([["PROVED"], ["FAILED", "PROVER_DIED"]]).toContainEqual(ending);
      // The group's end may be reported before the second process's end.
      await ended(active, standby);
      await service.fullStrength(1);
      await oracle.expectProved(await oracle.submit([group()]));
    });

    test("active prover stopped mid-proof: its silence ends it, the standby proves", async () => {
      const { active, standby } = provers();
      const submitted = await oracle.submitAndStart([group(63)]);
      await random.moment(50, 500);
      send("SIGSTOP", active);
      await oracle.expectProved(submitted);
      expect(service.active()).toBe(standby);
      expect(service.endings().at(-1)).toBe("wedged");
      expect(isRunning(active)).toBe(false);
    });

    test("both provers stopped mid-proof: both are replaced, the group ends once", async () => {
      const { active, standby } = provers();
      const submitted = await oracle.submitAndStart([group(62)]);
      await random.moment(50, 500);
      send("SIGSTOP", active, standby);
      const [ending] = await oracle.endings(submitted);
      // While its inputs are verified, both hang over this input; then it is not tried again.
      expect([["PROVED"], ["FAILED", "PROVER_DIED"]]).toContainEqual(ending);
      await ended(active, standby);
      expect(service.endings().slice(-2)).toEqual(["wedged", "wedged"]);
      await service.fullStrength(1);
      await oracle.expectProved(await oracle.submit([group()]));
    });

    test("standby stopped: the active prover verifies, the standby is replaced", async () => {
      const { active, standby } = provers();
      send("SIGSTOP", standby);
      await oracle.expectProved(await oracle.submit([group()]));
      await ended(standby);
      expect(service.endings().at(-1)).toBe("wedged");
      expect(service.active()).toBe(active);
    });

    test("proof running at its fence: killed at once, no bytes, the standby proves", async () => {
      const { active, standby } = provers();
      // Whole: a part that just fits would be proved about when its fence passes. Nothing waits for
      // the start: on a loaded machine the fence may pass before anybody has seen it.
      const options = { fenceMs: 600, partialPolicy: PartialPolicy.FORBID };
      const fenced = await oracle.submit([group(63)], options);
      const [outcome] = await oracle.outcomes(fenced);
      expect(await oracle.endings(fenced)).toEqual([["STOPPED", "FENCE"]]);
      await ended(active);
      expect(outcome?.proof).toHaveLength(0);
      await oracle.expectProved(await oracle.submit([group()]));
      expect(service.active()).toBe(standby);
      expect(await oracle.retainedProofBytes(outcome?.requestId ?? "")).toBe(0);
    });

    test("proof past its fence: its bytes are gone from session and stream", async () => {
      const fenceMs = 30_000;
      const fenceAtMs = performance.now() + fenceMs;
      const submitted = await oracle.submit([group(8)], { fenceMs });
      const [outcome] = await oracle.expectProved(submitted);
      const requestId = outcome?.requestId ?? "";
      expect(await oracle.retainedProofBytes(requestId)).toBeGreaterThan(0);
      // The service counts from its receipt of the snapshot: some milliseconds later.
      await until(() => performance.now() > fenceAtMs + 50);
      expect(await oracle.retainedProofBytes(requestId)).toBe(0);
    });

    test("running group cancelled: its prover is killed, the standby proves", async () => {
      const { active, standby } = provers();
      const leaving = new Oracle(site.address, "leaving");
      const submitted = await leaving.submitAndStart([group(63)]);
      await leaving.close(0); // an adapter that closes cancels what is in flight
      expect(await leaving.endings(submitted)).toEqual([["LOST"]]);
      await ended(active);
      await oracle.expectProved(await oracle.submit([group()]));
      expect(service.active()).toBe(standby);
    });

    // Without a standby in time most deaths cost a cold setup: a minute in all.
    const TEN_KILLS_MS_MAX = 240_000;
    test(
      "active prover killed ten times in a row: every group ends once",
      async () => {
        let isOver = false;
        const submitting = (async () => {
          while (!isOver) await oracle.results(await oracle.submit([group(8), group(16)]));
        })();
        for (let kills = 0; kills < 10; kills++) {
          await service.fullStrength(1);
          await random.moment(0, 1500);
          const [active] = service.provers();
          if (active === undefined) continue;
          if (isRunning(active)) send("SIGKILL", active);
          await ended(active);
        }
        isOver = true;
        await submitting;
        await service.fullStrength(1);
        await oracle.expectProved(await oracle.submit([group()]));
      },
      TEN_KILLS_MS_MAX,
    );
  });
});
