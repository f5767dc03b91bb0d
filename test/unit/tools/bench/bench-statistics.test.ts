/** The bench's figures, against values worked out by hand. */
import { expect, test } from "vitest";
import { differences, quantile, spread } from "../../../../tools/bench/statistics.js";

test("a quantile lies between the two nearest samples, whatever their order", () => {
  expect(quantile([40, 10, 30, 20], 0.5)).toBe(25);
  expect(quantile([40, 10, 30, 20], 0)).toBe(10);
  expect(quantile([40, 10, 30, 20], 1)).toBe(40);
  const hundred = Array.from({ length: 101 }, (_, i) => i);
  expect(quantile(hundred, 0.99)).toBe(99);
});

test("one sample is every quantile, and no sample gives NaN", () => {
  expect(quantile([7], 0.99)).toBe(7);
  expect(quantile([], 0.5)).toBeNaN();
});

test("the samples are not reordered", () => {
  const samples = [3, 1, 2];
  quantile(samples, 0.5);
  expect(samples).toEqual([3, 1, 2]);
});

test("a spread is the median, its quartiles, and the median's standard error", () => {
  const { median, q1, q3, error } = spread([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect([median, q1, q3]).toEqual([5, 3, 7]);
  // sqrt(pi / 2) * (4 / 1.349) / sqrt(9)
  expect(error).toBeCloseTo(1.2388, 3);
});

test("four times the samples halve the error", () => {
  const few = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const many = few.flatMap((sample) => [sample, sample, sample, sample]);
  expect(spread(many).error / spread(few).error).toBeCloseTo(0.5, 1);
});

test("what drifts over the run cancels out of the differences", () => {
  const bare = [100, 200, 300, 400];
  const service = bare.map((ms) => ms + 5);
  expect(differences(bare, service)).toEqual([5, 5, 5, 5]);
});

test("an incomplete pair is an error", () => {
  expect(() => differences([1, 2], [1])).toThrow("not complete");
});
