/** The cost model on cases computed by hand. */
import { describe, expect, test } from "vitest";
import type { CostModel } from "../../../../server/work/costs/cost-model.js";
import type { Shape } from "../../../../server/work/shape.js";
import {
  aged,
  freshCostModel,
  learn,
  learnAtLeast,
  optimisticMs,
  overrunMs,
  pessimisticMs,
  predictMs,
} from "../../../../server/work/costs/cost-model.js";

const HOUR_MS = 3_600_000;
const shape = (raws: number, children = 0): Shape => ({ raws, children });

/** What the model holds, as milliseconds again. */
const costs = ({ logMs }: CostModel) => logMs.map((log) => Math.exp(log));

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect((actual[i] ?? 0) / value).toBeCloseTo(1, 4);
}

describe("before anything is seen", () => {
  test.each([
    [1, 0, 770 + 2 + 0.3],
    [64, 0, 770 + 128 + 1228.8],
    [0, 2, 5500],
    [48, 1, 2750 + 2016],
    [256, 1, 770 + 512 + 19_660.8],
  ])("%i raws and %i children take what the table says", (raws, children, ms) => {
    expect(predictMs(freshCostModel, { raws, children })).toBeCloseTo(ms, 6);
  });

  // The table's error alone is 0.7² + 0.3², a proof's scatter 0.15²: a deviation of √0.6025.
  test("a proof may take a fifth or five times as long", () => {
    expect(optimisticMs(freshCostModel, shape(0))).toBeCloseTo(770 * Math.exp(-2.054 * 0.77621), 1);
    expect(pessimisticMs(freshCostModel, shape(0))).toBeCloseTo(770 * Math.exp(2.054 * 0.77621), 1);
  });

  test("it is as uncertain after an hour", () => {
    expect(aged(freshCostModel, HOUR_MS)).toEqual({ ...freshCostModel, atMs: HOUR_MS });
  });
});

describe("one proof", () => {
  // ln 2 is within three deviations; 0.58 of 0.6025 is the proof's own cost, 0.49 the others'.
  test("that took twice as long moves its own part most, the rest of the table along", () => {
    const model = learn(freshCostModel, shape(0), 1540, 0);
    expectClose(costs(model), [1500.648, 3.5144, 0.52716, 4832.3, 73.802]);
    // Of the square of the surprise, 0.0225² of 0.6025² are the proof's own.
    const own = (0.0225 / 0.6025) ** 2;
    expect(model.scatter).toBeCloseTo(0.0225 + 0.1 * own * (Math.LN2 ** 2 - 0.6025), 8);
  });

  test("that took a thousand times as long counts for three deviations", () => {
    const model = learn(freshCostModel, shape(0), 770_000, 0);
    expect(predictMs(model, shape(0))).toBeCloseTo(7244.92, 1);
  });

  test("or that took no time at all", () => {
    expect(predictMs(learn(freshCostModel, shape(0), 0, 0), shape(0))).toBeCloseTo(81.837, 2);
  });

  test("scales the whole table to a device four times as fast, and says how well", () => {
    const model = learn(freshCostModel, shape(1), 193, 0);
    for (const [raws, children] of [
      [64, 0],
      [32, 1],
      [0, 2],
    ] as const) {
      const wanted = predictMs(freshCostModel, { raws, children }) / 4;
      expect(predictMs(model, { raws, children }) / wanted).toBeGreaterThan(1);
      expect(predictMs(model, { raws, children }) / wanted).toBeLessThan(1.35);
      expect(optimisticMs(model, { raws, children })).toBeLessThan(wanted);
      expect(pessimisticMs(model, { raws, children })).toBeGreaterThan(wanted);
    }
  });
});

describe("a killed proof", () => {
  test("that had run for as long as predicted raises it by a half-normal's mean", () => {
    const model = learnAtLeast(freshCostModel, shape(0), 770, 0);
    expectClose(costs(model).slice(0, 1), [770 * Math.exp((0.58 / 0.77621) * 0.79788)]);
    expect(model.covariance).toEqual(freshCostModel.covariance);
  });

  test("that had hardly begun teaches nothing", () => {
    const model = learnAtLeast(freshCostModel, shape(64), 20, 0);
    expect(predictMs(model, shape(64))).toBeCloseTo(predictMs(freshCostModel, shape(64)), 3);
  });

  test("again and again at the same instant raises it beyond that, and no smaller one's", () => {
    let model: CostModel = freshCostModel;
    const proof = () => (model = learn(model, shape(16), 800, model.atMs + 4000));
    const kill = () => (model = learnAtLeast(model, shape(64), 6000, model.atMs + 4000));
    for (let i = 0; i < 30; i++) proof();
    expect(predictMs(model, shape(64))).toBeLessThan(2200);
    for (let i = 0; i < 20; i++) [kill, proof].forEach((happens) => happens());
    expect(predictMs(model, shape(64))).toBeGreaterThan(6500);
    expect(predictMs(model, shape(16))).toBeLessThan(900);
  });
});

describe("with time", () => {
  const seen = learn(learn(freshCostModel, shape(32), 1100, 0), shape(32), 1100, 4000);

  test("predictions stay, their range grows to what it was at first", () => {
    const minutesOld = aged(seen, 5 * 60_000);
    const dayOld = aged(seen, 24 * HOUR_MS);
    expect(predictMs(dayOld, shape(32))).toBe(predictMs(seen, shape(32)));
    const ranges = [seen, minutesOld, dayOld].map(
      (model) => pessimisticMs(model, shape(32)) / optimisticMs(model, shape(32)),
    );
    expect(ranges).toEqual([...ranges].sort((a, b) => a - b));
    expectClose(dayOld.covariance.flat(), freshCostModel.covariance.flat());
  });

  test("to age twice is to age once", () => {
    const twice = aged(aged(seen, 100_000), 200_000);
    expectClose(twice.covariance.flat(), aged(seen, 200_000).covariance.flat());
  });

  test("a clock that is behind changes nothing", () => {
    expect(aged(seen, 0)).toEqual(seen);
  });
});

test("a proof is no hang before 10 s, nor before four times its pessimistic prediction", () => {
  const model = learn(freshCostModel, shape(1), 800, 0);
  expect(overrunMs(model, shape(1))).toBe(10_000);
  expect(overrunMs(model, shape(0, 4))).toBe(4 * pessimisticMs(model, shape(0, 4)));
});
