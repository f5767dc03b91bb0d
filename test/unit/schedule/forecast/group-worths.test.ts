/** What waiting groups are worth, and for how much of the time of a lane. */
import { expect, test } from "vitest";
import { GroupWorths } from "../../../../server/schedule/forecast/group-worths.js";
import type { Shape } from "../../../../server/work/shape.js";
import { groupOfRaws } from "../../../helpers/scheduler.js";

/** Each raw signature takes 100 ms, almost exactly. */
const durationOf = ({ raws }: Shape) => ({ medianMs: 100 * raws, deviation: 0.01 });
const worths = new GroupWorths(durationOf);
const limits = { steps: [], fenceAtMs: 6400, mayShed: true, slot: 1n };
const group = (raws: number) => groupOfRaws(`${raws}`, raws);
const perMs = (raws: number, startAtMs: number, untilMs: number, more = {}) =>
  worths.outlook({ ...limits, ...more }, group(raws), startAtMs, untilMs).worthPerMs;

test("worth counts for the time that the proof takes", () => {
  expect(perMs(10, 0, 10_000)).toBeCloseTo(10 / 1000, 6);
  expect(perMs(32, 0, 10_000)).toBeCloseTo(32 / 3200, 6);
});

test("time in which nothing else could start counts for none, so the larger group is last", () => {
  // Both last beyond the last deadline, in 500 ms.
  expect(perMs(10, 0, 500)).toBeCloseTo(10 / 500, 6);
  expect(perMs(32, 0, 500)).toBeCloseTo(32 / 500, 6);
});

test("weights are shares of a request's first one, whatever their scale", () => {
  const early = [
    { untilAtMs: 1100, weight: 1000 },
    { untilAtMs: 6400, weight: 250 },
  ];
  expect(perMs(10, 0, 10_000, { steps: early })).toBeCloseTo(10 / 1000, 6);
  // The first step cannot be reached any more.
  expect(perMs(10, 500, 10_000, { steps: early, mayShed: false })).toBeCloseTo(2.5 / 1000, 6);
});

test("a group of which no part may start is worth nothing", () => {
  expect(perMs(10, 6390, 10_000)).toBe(0);
  expect(worths.best({ ...limits, mayShed: false }, group(80), 0)).toBeUndefined();
  expect(worths.best(limits, group(80), 0)?.shape.raws).toBeGreaterThan(60);
});

test("a group is cut where a part of it is worth more, whether or not its request allows it", () => {
  expect(worths.isCut({ ...limits, mayShed: false }, group(32), 0)).toBe(false);
  expect(worths.isCut({ ...limits, mayShed: false }, group(80), 0)).toBe(true);
});
