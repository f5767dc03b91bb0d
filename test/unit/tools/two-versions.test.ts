/** The verdict on an adapter and services of two versions. */
import { expect, it } from "vitest";
import { verdictOf } from "../../../tools/two-versions/verdict.js";

it("is well with a proof of every group, late ones included", () => {
  const verdict = { row: "| 2 | 2 | proved, proved_late |", isGood: true };
  expect(verdictOf(2, ["proved", "proved_late"])).toEqual(verdict);
});

it("is not well when a snapshot was never taken, and shows why", () => {
  const endings = ["proved", "skipped unreachable"];
  const verdict = { row: "| 3 | 1 | proved, skipped unreachable |", isGood: false };
  expect(verdictOf(3, endings)).toEqual(verdict);
});

it("is not well when a group ended twice or was lost, or when there was nothing to prove", () => {
  expect(verdictOf(1, ["proved", "proved"]).isGood).toBe(false);
  expect(verdictOf(2, ["proved", "lost"]).isGood).toBe(false);
  expect(verdictOf(0, []).isGood).toBe(false);
});
