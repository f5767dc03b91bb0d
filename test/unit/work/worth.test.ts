/** What a vote is expected to be worth in a proof that starts now. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import type { Duration } from "../../../server/work/costs/cost-model.js";
import type { Step } from "../../../server/work/submission.js";
import type { Horizon } from "../../../server/work/worth.js";
import {
  expectedWeight,
  jointSteps,
  normalProbability,
  prospectOf,
  worthlessFromMs,
} from "../../../server/work/worth.js";

/** Half of such proofs take a second or less, 84 % two, 98 % four. */
const second: Duration = { medianMs: 1000, deviation: Math.LN2 };
const steps = (...pairs: [number, number][]): Step[] =>
  pairs.map(([untilAtMs, weight]) => ({ untilAtMs, weight }));
const normalSteps = steps([1000, 4], [2000, 2], [4000, 1]);

test("the distribution function is as in tables, also far from the mean", () => {
  const known = [
    [0, 0.5],
    [1, 0.841344746],
    [-1.959963985, 0.025],
    [-6, 9.865876e-10],
    [-10, 7.619853e-24],
  ] as const;
  for (const [z, probability] of known) {
    expect(Math.abs(normalProbability(z) / probability - 1)).toBeLessThan(1e-6);
  }
  expect(normalProbability(-Infinity)).toBe(0);
  expect(normalProbability(Infinity)).toBe(1);
});

test("without steps a vote is worth 1 until the fence, and nothing at it", () => {
  const worth = (fenceAtMs: number) => expectedWeight({ steps: [], fenceAtMs }, 500, second);
  expect(worth(1500)).toBeCloseTo(0.5, 6);
  expect(worth(2500)).toBeCloseTo(0.841345, 6);
  expect(worth(500)).toBe(0);
  expect(worth(400)).toBe(0);
});

test("with steps, each weight counts by the probability to be ready in its step", () => {
  const worth = (fenceAtMs: number, startAtMs = 0) =>
    expectedWeight({ steps: normalSteps, fenceAtMs }, startAtMs, second);
  // 4 · 0.5 + 2 · (0.841345 - 0.5) + 1 · (0.977250 - 0.841345)
  expect(worth(4000)).toBeCloseTo(2.818595, 5);
  expect(worth(9000)).toBeCloseTo(2.818595, 5);
  // Nothing at the fence or after it: 4 · 0.5 + 2 · (0.841345 - 0.5) + 1 · (0.943514 - 0.841345)
  expect(worth(3000)).toBeCloseTo(2.784859, 5);
  // The first step has passed: 2 · 0.5 + 1 · (0.943514 - 0.5)
  expect(worth(4000, 1000)).toBeCloseTo(1.443514, 5);
  expect(prospectOf({ steps: normalSteps, fenceAtMs: 9000 }, 0, second).chance).toBeCloseTo(
    0.97725,
    5,
  );
});

const horizon = fc
  .record({
    ends: fc.array(fc.integer({ min: 0, max: 8000 }), { maxLength: 5 }),
    weights: fc.uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 5, maxLength: 5 }),
    fenceAtMs: fc.integer({ min: 1, max: 8000 }),
  })
  .map(({ ends, weights, fenceAtMs }): Horizon => {
    const descending = weights.sort((a, b) => b - a);
    const ascending = ends.sort((a, b) => a - b);
    const all = ascending.map((untilAtMs, at) => ({ untilAtMs, weight: descending[at] ?? 0 }));
    return { steps: all, fenceAtMs };
  });
const duration = fc.record({
  medianMs: fc.integer({ min: 1, max: 20_000 }),
  deviation: fc.double({ min: 0.02, max: 1, noNaN: true }),
});
const startMs = fc.integer({ min: -3000, max: 8000 });
const ROUNDING = 1e-9;

test("more time, more weight and an earlier start never make a vote worth less", () => {
  fc.assert(
    fc.property(horizon, duration, startMs, fc.nat(3000), (given, each, startAtMs, more) => {
      const weight = expectedWeight(given, startAtMs, each);
      const longer = { ...given, fenceAtMs: given.fenceAtMs + more };
      const heavier = {
        ...given,
        steps: given.steps.map((step) => ({ ...step, weight: step.weight * (1 + more / 1000) })),
      };
      expect(expectedWeight(longer, startAtMs, each)).toBeGreaterThanOrEqual(weight - ROUNDING);
      expect(expectedWeight(heavier, startAtMs, each)).toBeGreaterThanOrEqual(weight - ROUNDING);
      const sooner = expectedWeight(given, startAtMs - more, each);
      expect(sooner).toBeGreaterThanOrEqual(weight - ROUNDING);
      const { chance } = prospectOf(given, startAtMs, each);
      expect(weight).toBeLessThanOrEqual((given.steps[0]?.weight ?? 1) * chance + ROUNDING);
    }),
  );
});

/** What a vote is worth at an instant, as a share of the first weight. */
function shareAt({ steps: own, fenceAtMs }: Horizon, atMs: number): number {
  if (atMs >= fenceAtMs) return 0;
  const step = own.find(({ untilAtMs }) => atMs < untilAtMs);
  return own.length === 0 ? 1 : (step?.weight ?? 0) / (own[0]?.weight ?? 1);
}

test("joint steps are at each instant worth the most that one of the requests gives", () => {
  fc.assert(
    fc.property(fc.array(horizon, { minLength: 1, maxLength: 6 }), startMs, (requests, atMs) => {
      const joint = jointSteps(requests);
      const weightAt = joint.find(({ untilAtMs }) => atMs < untilAtMs)?.weight ?? 0;
      expect(weightAt).toBe(Math.max(...requests.map((request) => shareAt(request, atMs))));
      joint.forEach(({ untilAtMs, weight }, at) => {
        expect(untilAtMs).toBeGreaterThan(joint[at - 1]?.untilAtMs ?? -Infinity);
        expect(weight).toBeLessThan(joint[at - 1]?.weight ?? Infinity);
      });
    }),
  );
});

test("weights are compared as shares, since each request has a scale of its own", () => {
  const early = { steps: steps([800, 1000], [6400, 10]), fenceAtMs: 6400 };
  const even = { steps: [], fenceAtMs: 2000 };
  expect(jointSteps([early, even])).toEqual(steps([2000, 1], [6400, 0.01]));
  expect(jointSteps([even])).toEqual(steps([2000, 1]));
  expect(worthlessFromMs(early)).toBe(6400);
});

test("joint steps are bounded, and last as long as the longest", () => {
  const requests = Array.from({ length: 99 }, (_, at): Horizon => {
    return { steps: steps([1000, 1000], [2000 + at, 1000 - 3 * at - 1]), fenceAtMs: 9000 };
  });
  const joint = jointSteps(requests);
  expect(joint).toHaveLength(limits.attemptStepsMax);
  expect(joint.at(-1)?.untilAtMs).toBe(2098);
});
