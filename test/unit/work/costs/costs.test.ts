/** A device has one cost model for each kind and rate; one that is unknown begins as a known one. */
import { expect, test } from "vitest";
import {
  freshCostModel,
  learn,
  pessimisticMs,
  predictMs,
} from "../../../../server/work/costs/cost-model.js";
import { agedCosts, modelOf, withModel } from "../../../../server/work/costs/costs.js";

const one = { raws: 1, children: 0 };
const quick = learn(freshCostModel, one, 200, 0);
const slow = learn(freshCostModel, one, 1500, 0);

test("each rate has its own model, in ascending order", () => {
  const rate3 = { logInvRate: 3 };
  const costs = withModel(withModel(withModel([], rate3, quick), {}, quick), rate3, slow);
  expect(costs).toEqual([
    { kind: "fold", logInvRate: 0, model: quick },
    { kind: "fold", logInvRate: 3, model: slow },
  ]);
  expect(modelOf(costs)).toBe(quick);
  expect(modelOf(costs, rate3)).toBe(slow);
});

test("an unknown rate is predicted as the lowest known, as uncertainly as at first", () => {
  expect(modelOf([], { logInvRate: 2 })).toEqual(freshCostModel);
  const model = modelOf(withModel([], {}, quick), { logInvRate: 2 });
  expect(predictMs(model, one)).toBe(predictMs(quick, one));
  expect(pessimisticMs(model, one)).toBeGreaterThan(4 * predictMs(model, one));
  expect(pessimisticMs(quick, one)).toBeLessThan(2 * predictMs(quick, one));
});

test("what is learned of one rate leaves the others as they are, but older", () => {
  const costs = withModel(withModel([], {}, quick), { logInvRate: 1 }, slow);
  const [first, second] = agedCosts(costs, 60_000);
  expect(first?.model.atMs).toBe(60_000);
  expect(second?.model.logMs).toEqual(slow.logMs);
});

test("a first merge is predicted from a fold of its rate, shorter and a little less certainly", () => {
  const costs = withModel(withModel([], {}, quick), { logInvRate: 1 }, slow);
  const two = { raws: 0, children: 2 };
  for (const logInvRate of [0, 1]) {
    const fold = modelOf(costs, { logInvRate });
    const merge = modelOf(costs, { messages: 2, logInvRate });
    expect(predictMs(merge, two)).toBeCloseTo(0.7 * predictMs(fold, two), 6);
    const more = pessimisticMs(merge, two) / (0.7 * pessimisticMs(fold, two));
    expect(more).toBeGreaterThan(1.05);
    expect(more).toBeLessThan(1.5);
  }
});

test("merges teach nothing of folds, and folds nothing of merges once one was learned", () => {
  const merge = { raws: 1, children: 2, messages: 3 };
  const costs = withModel(withModel([], {}, quick), merge, slow);
  expect(costs.map(({ kind }) => kind)).toEqual(["fold", "merge"]);
  expect(modelOf(costs)).toBe(quick);
  expect(modelOf(withModel(costs, {}, freshCostModel), merge)).toBe(slow);
  // Of a rate at which nothing was merged, the merges at another rate say more than its folds.
  const other = modelOf(costs, { messages: 2, logInvRate: 4 });
  expect(predictMs(other, one)).toBe(predictMs(slow, one));
});

test("the model's form fits merges as they were measured on two cores", () => {
  let model = modelOf([], { messages: 2 });
  const measured = [
    [2, 3000],
    [3, 4300],
    [4, 5700],
  ] as const;
  for (const [children, ms] of measured) {
    model = learn(model, { raws: 0, children, messages: children }, ms, 0);
  }
  for (const [children, ms] of measured) {
    const predicted = predictMs(model, { raws: 0, children, messages: children });
    expect(Math.abs(predicted / ms - 1)).toBeLessThan(0.06);
  }
});
