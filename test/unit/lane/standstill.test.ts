/** The service stands still for a while, alone or with its provers: nothing is learned from that. */
import { beforeEach, describe, expect, test } from "vitest";
import { AwakeClock } from "../../../server/lane/awake-clock.js";
import { Beat } from "../../../server/lane/beat.js";
import { Lane } from "../../../server/lane/lane.js";
import type { Assignment, FromLane } from "../../../server/lane/lane-messages.js";
import { LearnedCosts } from "../../../server/lane/costs/learned-costs.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Prover } from "../../../server/prover/prover.js";
import { freshCostModel, overrunMs, predictMs } from "../../../server/work/costs/cost-model.js";
import { modelOf } from "../../../server/work/costs/costs.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const key = new Uint8Array(32).fill(7);
const root = new Uint8Array(32).fill(8);
const one = { raws: 1, children: 0 };
const message = { root, slot: 3 };
const signatures = fakeSignature(key, root, 3);
const FREEZE_MS = 30_000;
const log = createLog("silent");

let clock: VirtualClock;
beforeEach(() => (clock = new VirtualClock()));
async function run(ms: number): Promise<void> {
  // What was called before has begun by then.
  await new Promise((resolve) => setImmediate(resolve));
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

describe("a clock that stands still while the service does", () => {
  let awake: AwakeClock;
  beforeEach(() => {
    awake = new AwakeClock(clock);
    new Beat(clock, awake, () => undefined).start();
  });

  test("goes with the real clock otherwise", async () => {
    await run(5400);
    expect([awake.nowMs(), awake.stoodStillMs, awake.resumedAtMs]).toEqual([5400, 0, -Infinity]);
  });

  test("does not count the standstill, before and after the next beat", async () => {
    await run(600);
    clock.standStill(FREEZE_MS);
    // The beat was due 400 ms later, and may be late by 250 ms.
    expect(awake.nowMs()).toBe(1250);
    expect(awake.resumedAtMs).toBe(600 + FREEZE_MS);
    await run(2000);
    expect(awake.nowMs()).toBe(3250);
    expect(awake.resumedAtMs).toBe(600 + FREEZE_MS);
  });

  test("its timers have what was left of their time after the standstill", async () => {
    let firedAtMs = 0;
    awake.at(2000, () => (firedAtMs = clock.nowMs()));
    const cancel = awake.at(2000, () => expect.unreachable());
    await run(600);
    clock.standStill(FREEZE_MS);
    await run(100);
    expect(firedAtMs).toBe(0);
    cancel();
    await run(2000);
    expect(firedAtMs - FREEZE_MS).toBeCloseTo(2000 - 650, 0);
  });
});

describe("a lane", () => {
  let lane: Lane;
  let heard: FromLane[];
  let proveMs: number;
  let heardAtMs: () => number;

  beforeEach(async () => {
    heard = [];
    proveMs = 300;
    heardAtMs = () => Infinity;
    const startProver = (): Prover => {
      const prover = startFakeProver({ proveMs: () => proveMs, sleep: (ms) => clock.sleep(ms) });
      return Object.assign(prover, { heardAtMs: () => heardAtMs() });
    };
    const options = {
      standbys: 0,
      residentBytesMax: 1e9,
      standbyBytesMax: 1e9,
      refreshShare: 0,
    } as const;
    lane = new Lane({ id: "cpu", startProver }, options, {
      clock,
      log,
      metrics: createMetrics(["cpu"]),
      emit: (message) => heard.push(message),
    });
    lane.open();
    await run(700);
    for (let attempt = 1; attempt <= 5; attempt++) await prove(attempt, () => run(500));
  });

  /** Has the lane prove one signature, while `meanwhile` happens; its result. */
  async function prove(attempt: number, meanwhile: () => Promise<void>) {
    const work = {
      kind: "fold" as const,
      message,
      raws: { validators: [0], keys: key, signatures },
      children: [],
      leftOut: [],
      logInvRate: 0,
    };
    const assignment: Assignment = {
      work,
      deadlineAtMs: clock.nowMs() + 1e6,
      fenceAtMs: clock.nowMs() + 1e6,
      isFirstOfSession: true,
      steps: [],
      isExploration: false,
      mayShed: false,
      minInputs: 1,
      rotation: 0,
      isRetry: false,
      digest: "00",
    };
    lane.receive({ kind: "assign", lease: attempt, attempt, assignment });
    await run(100);
    await meanwhile();
    return heard.find((each) => each.kind === "ended" && each.attempt === attempt);
  }

  function cost() {
    const announced = heard.findLast((each) => each.kind === "announce");
    if (announced?.kind !== "announce") throw new Error("nothing was announced");
    return modelOf(announced.costs);
  }

  test("that stood still alone learns nothing from a proof that was ready meanwhile", async () => {
    const before = predictMs(cost(), one);
    const ended = await prove(6, async () => {
      clock.standStill(FREEZE_MS);
      await run(1000);
    });
    expect(ended).toMatchObject({ result: { kind: "proved" } });
    expect(predictMs(cost(), one)).toBe(before);
  });

  test("that stood still with its prover neither kills it nor learns from its proof", async () => {
    const before = predictMs(cost(), one);
    expect(overrunMs(cost(), one)).toBeLessThan(FREEZE_MS);
    proveMs = FREEZE_MS + 300;
    const ended = await prove(6, async () => {
      clock.standStill(FREEZE_MS);
      await run(1000);
    });
    expect(ended).toMatchObject({ result: { kind: "proved" } });
    expect(predictMs(cost(), one)).toBe(before);
  });

  test("still kills a prover that hangs after the standstill", async () => {
    proveMs = 1e6;
    const ended = await prove(6, async () => {
      clock.standStill(FREEZE_MS);
      await run(overrunMs(cost(), one) + 1000);
    });
    expect(ended).toMatchObject({ result: { kind: "failed", reason: "prover_died" } });
  });

  test("gives a prover that was stopped too the whole silence to be heard again", async () => {
    let lastMs = clock.nowMs();
    heardAtMs = () => lastMs;
    clock.standStill(FREEZE_MS);
    await run(4500);
    expect(lane.phase.kind, "4.5 s after the standstill").toBe("idle");
    lastMs = clock.nowMs();
    await run(4500);
    expect(lane.phase.kind).toBe("idle");
    await run(1500);
    expect(heard.some((each) => each.kind === "announce" && each.phase.kind === "stopping")).toBe(
      true,
    );
  });
});

test("a calibration in which the service stood still is made again", async () => {
  const awake = new AwakeClock(clock);
  new Beat(clock, awake, () => undefined).start();
  const sleep = (ms: number) => clock.sleep(ms);
  const prover = startFakeProver({ proveMs: () => 300, sleep });
  const calibration = { message, keys: key, signatures, children: [], logInvRate: 0 };
  const device = { id: "cpu", startProver: () => prover, calibration };
  const costs = new LearnedCosts(device, { clock, awake, log });
  const prepared = costs.prepare(prover, () => expect.unreachable());
  await run(100);
  clock.standStill(FREEZE_MS);
  await run(1000);
  expect(await prepared).toBe(true);
  const fresh = Math.abs(Math.log(predictMs(freshCostModel, one) / 300));
  expect(Math.abs(Math.log(predictMs(costs.modelOf(), one) / 300))).toBeLessThanOrEqual(fresh);
  expect(predictMs(costs.modelOf(), one)).toBeLessThan(1000);
});
