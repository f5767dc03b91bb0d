/** Remembered costs are those that the lanes' models give at the moment. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { FleetCosts } from "../../../../server/schedule/forecast/fleet-costs.js";
import type { LaneCosts } from "../../../../server/schedule/forecast/fleet-costs.js";
import { freshCostModel, learn, quantileMs } from "../../../../server/work/costs/cost-model.js";
import type { Costs } from "../../../../server/work/costs/costs.js";
import { agedCosts, modelOf, withModel } from "../../../../server/work/costs/costs.js";

const shape = fc.record(
  {
    raws: fc.integer({ min: 1, max: 3 }),
    children: fc.nat(1),
    logInvRate: fc.nat(1),
    messages: fc.constant(2),
  },
  { requiredKeys: ["raws", "children", "logInvRate"] },
);
const step = fc.oneof(
  fc.record({ kind: fc.constant("come") }),
  fc.record({ kind: fc.constant("go"), lane: fc.nat() }),
  fc.record({
    kind: fc.constant("learn"),
    lane: fc.nat(),
    shape,
    ms: fc.integer({ min: 1, max: 9000 }),
  }),
  fc.record({ kind: fc.constantFrom("age", "repeat"), lane: fc.nat() }),
  fc.record({ kind: fc.constant("ask"), shape, deviations: fc.constantFrom(-2.054, 0, 1.5) }),
);

/** As if it had been decoded from another message. */
function copyOf(models: Costs): Costs {
  return structuredClone(models);
}

test("of the best lane, whatever lanes come, go, learn and age", () => {
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const costs = new FleetCosts();
    const lanes: LaneCosts[] = [];
    let last: Costs = [];
    let nowMs = 0;
    for (const each of steps) {
      nowMs += 60_000;
      if (each.kind === "come") {
        lanes.push(costs.add());
      } else if ("deviations" in each) {
        const known = lanes.length === 0 ? [last] : lanes.map(({ models }) => models);
        const all = known.map((models) => {
          return quantileMs(modelOf(models, each.shape), each.shape, each.deviations);
        });
        expect(costs.quantileMs(each.shape, each.deviations)).toBe(Math.min(...all));
      } else if ("lane" in each && lanes.length > 0) {
        const at = each.lane % lanes.length;
        const [lane] = each.kind === "go" ? lanes.splice(at, 1) : lanes.slice(at, at + 1);
        if (lane === undefined) continue;
        if (each.kind === "go") {
          last = lane.models;
          costs.remove(lane);
        } else if ("ms" in each) {
          const model = learn(modelOf(lane.models, each.shape), each.shape, each.ms, nowMs);
          lane.models = withModel(lane.models, each.shape, model);
        } else {
          lane.models = copyOf(each.kind === "age" ? agedCosts(lane.models, nowMs) : lane.models);
        }
      }
    }
  });
  fc.assert(property, { numRuns: 500 });
});

test("a report with the same model computes nothing again", () => {
  const costs = new FleetCosts();
  const lane = costs.add();
  const one = { raws: 1, children: 0 };
  const before = lane.of(one);
  lane.models = withModel([], {}, freshCostModel);
  const known = lane.of(one);
  expect(known).toEqual(before);
  lane.models = copyOf(lane.models);
  expect(lane.of(one)).toBe(known);
  lane.models = withModel([], {}, learn(freshCostModel, one, 100, 0));
  expect(lane.of(one)).not.toBe(known);
});
