/** Remembered costs are those that the lanes' models give at the moment. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { FleetCosts } from "../../../server/schedule/fleet-costs.js";
import type { LaneCosts } from "../../../server/schedule/fleet-costs.js";
import { aged, freshCostModel, learn, quantileMs } from "../../../server/work/cost-model.js";
import type { CostModel } from "../../../server/work/cost-model.js";

const shape = fc.record({ raws: fc.integer({ min: 1, max: 3 }), children: fc.nat(1) });
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
function copyOf(model: CostModel): CostModel {
  return structuredClone(model);
}

test("of the best lane, whatever lanes come, go, learn and age", () => {
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const costs = new FleetCosts();
    const lanes: LaneCosts[] = [];
    let last = freshCostModel;
    let nowMs = 0;
    for (const each of steps) {
      nowMs += 60_000;
      if (each.kind === "come") {
        lanes.push(costs.add());
      } else if ("deviations" in each) {
        const models = lanes.length === 0 ? [last] : lanes.map(({ model }) => model);
        const all = models.map((model) => quantileMs(model, each.shape, each.deviations));
        expect(costs.quantileMs(each.shape, each.deviations)).toBe(Math.min(...all));
      } else if ("lane" in each && lanes.length > 0) {
        const at = each.lane % lanes.length;
        const [lane] = each.kind === "go" ? lanes.splice(at, 1) : lanes.slice(at, at + 1);
        if (lane === undefined) continue;
        if (each.kind === "go") {
          last = lane.model;
          costs.remove(lane);
        } else if ("ms" in each) {
          lane.model = learn(lane.model, each.shape, each.ms, nowMs);
        } else {
          lane.model = copyOf(each.kind === "age" ? aged(lane.model, nowMs) : lane.model);
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
  lane.model = copyOf(freshCostModel);
  expect(lane.of(one)).toBe(before);
  lane.model = learn(freshCostModel, one, 100, 0);
  expect(lane.of(one)).not.toBe(before);
});
