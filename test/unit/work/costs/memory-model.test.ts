/** The memory of a proof is predicted from what was measured, and too high rather than too low. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { fitsInMemory, learnPeak, peakBytes } from "../../../../server/work/costs/memory-model.js";
import type { MemoryModel } from "../../../../server/work/costs/memory-model.js";

const GB = 1e9;
const raws = (count: number) => ({ raws: count, children: 0 });
const children = (count: number) => ({ raws: 0, children: count });

test.each([
  [raws(1), 0.8],
  [raws(512), 4],
  [raws(64), 0.91],
  [{ raws: 1, children: 1 }, 1.09],
  [children(2), 1.5],
  [children(4), 2.6],
  [children(8), 5.4],
  [children(16), 10],
])("before any proof, lean_pq's %j is predicted with at least the %d GB measured", (shape, gb) => {
  expect(peakBytes([], shape)).toBeGreaterThanOrEqual(gb * GB);
  expect(peakBytes([], shape)).toBeLessThan(1.35 * gb * GB);
});

test("a size that was measured is predicted as measured, and what lies between, between", () => {
  const model = learnPeak(learnPeak([], raws(1), 0.1 * GB), raws(100), 0.5 * GB);
  expect(peakBytes(model, raws(1))).toBe(0.1 * GB);
  expect(peakBytes(model, raws(100))).toBe(0.5 * GB);
  expect(peakBytes(model, raws(50))).toBeCloseTo(0.1 * GB + (49 / 99) * 0.4 * GB, 0);
  expect(peakBytes(model, raws(200))).toBeCloseTo(0.5 * GB + 100 * 6.3e6, 0);
});

test("a backend that takes more than the table is known to by its first proof", () => {
  const model = learnPeak([], raws(1), 5 * GB);
  expect(peakBytes(model, children(2))).toBeGreaterThan(5 * GB);
  expect(peakBytes(model, raws(512))).toBeGreaterThan(8 * GB);
});

test("a higher peak counts at once, a lower one by half, for about the same size", () => {
  const high = learnPeak(learnPeak([], raws(40), 1 * GB), raws(50), 2 * GB);
  expect(high).toHaveLength(1);
  expect(peakBytes(high, raws(50))).toBe(2 * GB);
  expect(peakBytes(learnPeak(high, raws(50), 1 * GB), raws(50))).toBeCloseTo(1.5 * GB, 0);
});

test("the smallest proof is possible until it was measured", () => {
  expect(fitsInMemory([], raws(1), 0.3 * GB)).toBe(true);
  expect(fitsInMemory([], raws(32), 0.3 * GB)).toBe(false);
  expect(fitsInMemory([], children(2), 0.3 * GB)).toBe(true);
  const model = learnPeak([], raws(1), 0.4 * GB);
  expect(fitsInMemory(model, raws(1), 0.3 * GB)).toBe(false);
  expect(fitsInMemory(model, children(2), 0.3 * GB)).toBe(true);
  expect(fitsInMemory(model, raws(1), 0.5 * GB)).toBe(true);
});

test("peaks of folds and merges are kept apart, and the other's say how far the table is off", () => {
  const merge = { ...children(2), messages: 2 };
  const folds = learnPeak([], children(2), 3 * GB);
  expect(fitsInMemory(folds, merge, 1 * GB)).toBe(true);
  expect(peakBytes(folds, merge)).toBeGreaterThan(2.5 * GB);
  const both = learnPeak(folds, merge, 2 * GB);
  expect([peakBytes(both, children(2)), peakBytes(both, merge)]).toEqual([3 * GB, 2 * GB]);
  expect(fitsInMemory(both, merge, 1 * GB)).toBe(false);
});

test("whatever was measured, more raw signatures are predicted with no less memory", () => {
  const counts = { raws: fc.nat(4096), children: fc.nat(16), logInvRate: fc.nat(2) };
  const shape = fc.oneof(
    fc.record(counts),
    fc.record({ ...counts, messages: fc.integer({ min: 1, max: 9 }) }),
  );
  const sample = fc.record({ shape, bytes: fc.integer({ min: 1, max: 2e10 }) });
  fc.assert(
    fc.property(fc.array(sample, { maxLength: 30 }), shape, fc.nat(500), (samples, at, more) => {
      const model = samples.reduce<MemoryModel>(
        (m, each) => learnPeak(m, each.shape, each.bytes),
        [],
      );
      const [small, large] = [
        peakBytes(model, at),
        peakBytes(model, { ...at, raws: at.raws + more }),
      ];
      expect(small).toBeGreaterThan(0);
      expect(large).toBeGreaterThanOrEqual(small - 1e-3);
      expect(model.length).toBeLessThanOrEqual(64);
    }),
  );
});

test("a peak that comes down stays above what was measured", () => {
  const model = learnPeak(
    learnPeak([], { raws: 8, children: 0 }, 10),
    { raws: 15, children: 0 },
    5,
  );
  expect(peakBytes(model, { raws: 8, children: 0 })).toBe(5);
});

test("a smaller proof of the same size that takes as much less lowers no peak", () => {
  const large = { raws: 13, children: 2 };
  const small = { raws: 8, children: 2 };
  const before = learnPeak([], large, 1.5e9);
  const after = learnPeak(before, small, 1.5e9 - 5 * 6.3e6);
  expect(peakBytes(after, large)).toBeCloseTo(1.5e9, -3);
});
