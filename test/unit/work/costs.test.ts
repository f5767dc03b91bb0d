/** A device has one cost model for each rate; one that is unknown begins as the lowest known. */
import { expect, test } from "vitest";
import {
  freshCostModel,
  learn,
  pessimisticMs,
  predictMs,
} from "../../../server/work/cost-model.js";
import { agedCosts, modelOf, withModel } from "../../../server/work/costs.js";

const one = { raws: 1, children: 0 };
const quick = learn(freshCostModel, one, 200, 0);
const slow = learn(freshCostModel, one, 1500, 0);

test("each rate has its own model, in ascending order", () => {
  const costs = withModel(withModel(withModel([], 3, quick), 0, quick), 3, slow);
  expect(costs).toEqual([
    { logInvRate: 0, model: quick },
    { logInvRate: 3, model: slow },
  ]);
  expect(modelOf(costs)).toBe(quick);
  expect(modelOf(costs, 3)).toBe(slow);
});

test("an unknown rate is predicted as the lowest known, as uncertainly as at first", () => {
  expect(modelOf([], 2)).toEqual(freshCostModel);
  const model = modelOf(withModel([], 0, quick), 2);
  expect(predictMs(model, one)).toBe(predictMs(quick, one));
  expect(pessimisticMs(model, one)).toBeGreaterThan(4 * predictMs(model, one));
  expect(pessimisticMs(quick, one)).toBeLessThan(2 * predictMs(quick, one));
});

test("what is learned of one rate leaves the others as they are, but older", () => {
  const costs = withModel(withModel([], 0, quick), 1, slow);
  const [first, second] = agedCosts(costs, 60_000);
  expect(first?.model.atMs).toBe(60_000);
  expect(second?.model.logMs).toEqual(slow.logMs);
});
