/** What `make load` is asked, and how it tells memory over time. */
import { expect, test } from "vitest";
import { isFlat, slopePerMinute, sparkline } from "../../../tools/bench/load/memory-series.js";
import { parseOptions } from "../../../tools/bench/load/options.js";

const every = (ms: number, bytes: number[]) =>
  bytes.map((each, at) => ({ atMs: at * ms, bytes: each }));

test("the slope is that of the line through the samples, a minute", () => {
  expect(slopePerMinute(every(1000, [5, 5, 5]))).toBe(0);
  expect(slopePerMinute(every(30_000, [100, 110, 120]))).toBeCloseTo(20);
  expect(slopePerMinute(every(30_000, [120, 90, 120, 90]))).toBeLessThan(0);
});

test("memory is flat that rises by less than a tenth a minute", () => {
  expect(isFlat(every(60_000, [100, 90, 110]))).toBe(true);
  expect(isFlat(every(60_000, [100, 109]))).toBe(true);
  expect(isFlat(every(60_000, [100, 115]))).toBe(false);
});

test("the sparkline starts at nothing, so that noise on top stays small, and shows every peak", () => {
  expect(sparkline(every(1, [100, 99, 98]), 72)).toBe("███");
  expect(sparkline(every(1, [10, 80, 20, 40]), 72)).toBe("▁█▂▄");
  expect(sparkline(every(1, [10, 80, 20, 40]), 2)).toBe("█▄");
});

test("options have defaults, and a wrong one is named with what is expected", () => {
  const defaults = { streams: 64, perSecond: 200, seconds: 60, warmUpSeconds: 100 };
  expect(parseOptions({})).toEqual(defaults);
  expect(parseOptions({ WARM_UP: "0", STREAMS: "2" })).toMatchObject({
    warmUpSeconds: 0,
    streams: 2,
  });
  expect(() => parseOptions({ SECONDS: "0" })).toThrow(/SECONDS is "0", .* from 1/);
});
