/** A device knows what proofs cost before it takes work: from its file, or by one calibration. */
import { pino } from "pino";
import { beforeEach, describe, expect, test } from "vitest";
import type { CostModel } from "../../../../server/work/costs/cost-model.js";
import { fakeSignature, startFakeProver } from "../../../../server/prover/fake/fake.js";
import type { Prover, FoldInputs } from "../../../../server/prover/prover.js";
import {
  freshCostModel,
  learn,
  overrunMs,
  predictMs,
} from "../../../../server/work/costs/cost-model.js";
import { AwakeClock } from "../../../../server/lane/awake-clock.js";
import type { Learned } from "../../../../server/lane/costs/cost-file.js";
import { LearnedCosts } from "../../../../server/lane/costs/learned-costs.js";
import { VirtualClock } from "../../../../tools/sim/virtual-clock.js";

const key = new Uint8Array(32).fill(7);
const root = new Uint8Array(32).fill(8);
const calibration: FoldInputs = {
  message: { root, slot: 3 },
  keys: key,
  signatures: fakeSignature(key, root, 3),
  children: [],
  logInvRate: 0,
};

let clock: VirtualClock;
let awake: AwakeClock;
let saved: [device: string, system: string, learned: Learned][];
let logged: string[];

beforeEach(() => {
  clock = new VirtualClock();
  awake = new AwakeClock(clock);
  saved = [];
  logged = [];
});

function learnedCosts(options: { calibration?: FoldInputs; kept?: CostModel; keptRate?: number }) {
  const write = (line: string) => logged.push((JSON.parse(line) as { msg: string }).msg);
  const { kept, keptRate: logInvRate = 0 } = options;
  // The calibration of the first start, long ago.
  const calibrated = { kind: "fold", logInvRate: 0, model: freshCostModel } as const;
  return new LearnedCosts(
    {
      id: "cpu",
      startProver: () => prover(0),
      calibration: options.calibration,
      costStore: {
        load: (device, system) =>
          device === "cpu" && system === "fake fake-1" && kept !== undefined
            ? {
                costs: [
                  ...(logInvRate === 0 ? [] : [calibrated]),
                  { kind: "fold", logInvRate, model: kept },
                ],
                memory: [],
              }
            : undefined,
        save: (...args) => saved.push(args),
      },
    },
    { clock, awake, log: pino({}, { write }) },
  );
}

const prover = (proveMs: number): Prover =>
  startFakeProver({ proveMs: () => proveMs, sleep: (ms) => clock.sleep(ms) });

/** What `prepare` says, once so much time has passed. */
async function prepared(costs: LearnedCosts, by: Prover, ms: number, giveUp = () => by.kill()) {
  const isOfUse = costs.prepare(by, giveUp);
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
  return isOfUse;
}

const fakeSystem = { scheme: "fake", revision: "fake-1" };

test("one proof of one raw signature scales the table, and is kept", async () => {
  const costs = learnedCosts({ calibration });
  const isOfUse = prepared(costs, prover(200), 200);
  expect(costs.isCalibrating).toBe(true);
  expect(await isOfUse).toBe(true);
  expect([costs.isCalibrating, costs.isPreparedFor(fakeSystem)]).toEqual([false, true]);
  expect(costs.modelOf()).toEqual(learn(freshCostModel, { raws: 1, children: 0 }, 200, 200, 0.3));
  expect(saved).toEqual([["cpu", "fake fake-1", { costs: costs.all, memory: [] }]]);
  expect(clock.pending).toBe(0);
});

test("what is kept spares the calibration", async () => {
  const kept = learn(freshCostModel, { raws: 1, children: 0 }, 300, 0);
  const costs = learnedCosts({ calibration, kept });
  expect(await prepared(costs, prover(60_000), 0)).toBe(true);
  expect(costs.modelOf()).toEqual(kept);
});

test("without a calibration the table stands as it is, until a proof is seen", async () => {
  const costs = learnedCosts({});
  expect(await prepared(costs, prover(60_000), 0)).toBe(true);
  expect(costs.modelOf()).toEqual(freshCostModel);
  costs.learn({ raws: 1, children: 0 }, 400);
  expect(predictMs(costs.modelOf(), { raws: 1, children: 0 })).toBeLessThan(450);
  costs.learnAtLeast({ raws: 1, children: 0 }, 4000);
  expect(predictMs(costs.modelOf(), { raws: 1, children: 0 })).toBeGreaterThan(450);
  expect(saved).toHaveLength(2);
});

describe("a refresh", () => {
  const smallest = { raws: 1, children: 0 };

  test("is not due while its proof is known to pass the memory ceiling", async () => {
    const costs = learnedCosts({ calibration });
    const by = prover(200);
    await prepared(costs, by, 200);
    expect(costs.refreshDue(by, 1e9)?.shape).toEqual(smallest);
    costs.learnPeak(smallest, 2e9, { bytes: 0, setupBytes: 0 });
    expect(costs.refreshDue(by, 1e9)).toBeUndefined();
    expect(costs.refreshDue(by, 3e9)?.shape).toEqual(smallest);
  });

  test("after a restart measures the rate that was proved last before it", async () => {
    const kept = learn(freshCostModel, smallest, 300, 0);
    const costs = learnedCosts({ calibration, kept, keptRate: 2 });
    const by = prover(200);
    await prepared(costs, by, 600_000);
    expect(costs.refreshDue(by, Infinity)?.shape).toEqual({ ...smallest, logInvRate: 2 });
  });
});

describe("a calibration that fails is logged and not tried again", () => {
  test("when the prover refuses it, it may work all the same", async () => {
    const costs = learnedCosts({ calibration: { ...calibration, signatures: new Uint8Array(64) } });
    expect(await prepared(costs, prover(200), 200)).toBe(true);
    expect(costs.isPreparedFor(fakeSystem)).toBe(true);
    expect(logged).toEqual(["calibration failed; costs are learned from the first proof"]);
    expect(costs.modelOf()).toEqual(freshCostModel);
  });

  test("when the prover dies of it, the prover is not usable", async () => {
    const costs = learnedCosts({ calibration });
    const dying = prover(60_000);
    clock.at(100, () => dying.kill());
    expect(await prepared(costs, dying, 100)).toBe(false);
    expect(costs.isPreparedFor(fakeSystem)).toBe(true);
    expect(clock.pending).toBe(1); // the fake's sleep
  });

  test("when it takes as long as a hang would, the prover is given up", async () => {
    const costs = learnedCosts({ calibration });
    const overMs = overrunMs(freshCostModel, { raws: 1, children: 0 });
    const hung = prover(10 * overMs);
    let givenUpAtMs = 0;
    const isOfUse = await prepared(costs, hung, overMs, () => {
      givenUpAtMs = clock.nowMs();
      hung.kill();
    });
    expect([isOfUse, givenUpAtMs]).toEqual([false, overMs]);
  });
});
