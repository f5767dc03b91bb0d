/** The fake prover's times and failures, as the settings say them. */
import { expect, test } from "vitest";
import { parseConfig } from "../../../../server/config/config.js";
import { fakeCosts, fakePlan, planText } from "../../../../server/prover/fake/fake-plan.js";
import { pessimisticMs, predictMs } from "../../../../server/work/costs/cost-model.js";
import { modelOf } from "../../../../server/work/costs/costs.js";

const settings = (fake: Record<string, unknown>) => parseConfig({ prover: "fake", ...fake });
const planOf = (fake: Record<string, unknown>, device = 0) => fakePlan(settings(fake), device);
const times = (fake: Record<string, unknown>, device = 0) => {
  const { proveMs } = planOf(fake, device);
  return Array.from({ length: 5 }, () => proveMs({ raws: 10, children: 2 }));
};

test.each([
  [{}, 200],
  [{ fakeTime: "50" }, 50],
  [{ fakeTime: 50 }, 50],
  [{ fakeTime: "100+4/raw" }, 140],
  [{ fakeTime: "100+60/child" }, 220],
  [{ fakeTime: "100+0.5/raw+60/child" }, 225],
])("with %j a proof of 10 raws and 2 children takes %d ms", (fake, ms) => {
  expect(times(fake)).toEqual([ms, ms, ms, ms, ms]);
});

test("random times are in their range, and the same for the same seed and device", () => {
  const fake = { fakeTime: "100-900", fakeSeed: "7" };
  const first = times(fake);
  expect(times(fake)).toEqual(first);
  expect(new Set(first).size).toBe(5);
  for (const ms of first) expect(ms >= 100 && ms <= 900).toBe(true);
  expect(times({ ...fake, fakeSeed: "8" })).not.toEqual(first);
  expect(times(fake, 1), "of another device").not.toEqual(first);
  expect(times({ fakeTime: "100-900+4/raw", fakeSeed: 7 })).toEqual(first.map((ms) => ms + 40));
});

test("every nth proof fails as its failure says; the first of several in the list wins", () => {
  const { failure } = planOf({ fakeFailures: "error:3, death:4,hang:6" });
  const all = Array.from({ length: 8 }, () => failure());
  const none = undefined;
  expect(all).toEqual([none, none, "error", "death", none, "error", none, "death"]);
  expect(planOf({}).failure()).toBeUndefined();
});

test.each([
  ["50", { raws: 64, children: 0 }, 50],
  ["50", { raws: 64, children: 64 }, 50],
  ["100-900", { raws: 1, children: 0 }, 500],
  ["100+4/raw+60/child", { raws: 10, children: 0 }, 140],
  ["100+4/raw+60/child", { raws: 10, children: 1 }, 200],
])("a time of %s is predicted from the first proof on: %j", (fakeTime, shape, ms) => {
  const costs = modelOf(fakeCosts(settings({ fakeTime }), 0));
  expect(predictMs(costs, shape)).toBeGreaterThan(0.99 * ms);
  expect(predictMs(costs, shape)).toBeLessThan(1.01 * ms);
  expect(pessimisticMs(costs, shape)).toBeLessThan(2 * ms);
  const merge = { ...shape, messages: 2 };
  const ofMerges = modelOf(fakeCosts(settings({ fakeTime }), 0), merge);
  expect(predictMs(ofMerges, merge)).toBe(predictMs(costs, shape));
});

test("the log says the plan as the user would", () => {
  expect(planText(settings({}))).toEqual({ proveMs: "200" });
  const fake = { fakeTime: "100-900+4/raw+60/child", fakeFailures: ["error:3"] };
  expect(planText(settings(fake))).toEqual({
    ...{ proveMs: "100-900+4/raw+60/child", seed: 1, failures: ["error:3"] },
  });
});
