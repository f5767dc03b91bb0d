/** A merge is worth its votes, and starts whole or not at all. */
import { expect, test } from "vitest";
import { worthOfMerge } from "../../../server/work/merge-worth.js";
import type { Shape } from "../../../server/work/shape.js";
import { LEAST_CHANCE } from "../../../server/work/worth.js";
import { groupOfMerge } from "../../helpers/scheduler.js";

const { work } = groupOfMerge("body", { raws: 2, proofs: 3, votes: 16 });
const of = (chance: number, weight = chance) => ({ prospectOf: () => ({ chance, weight }) });

test("a vote in a proof counts a tenth, for each message again, and a raw signature whole", () => {
  expect(worthOfMerge(work, of(1, 0.5))).toEqual({
    shape: { raws: 2, children: 3, messages: 4 },
    chance: 1,
    weight: 0.5,
    worth: 0.5 * (2 + 0.1 * 3 * 16),
  });
});

test("it is asked of the whole alone", () => {
  const asked: Shape[] = [];
  const prospectOf = (shape: Shape) => (asked.push(shape), { chance: 0.1, weight: 0.1 });
  expect(worthOfMerge(work, { prospectOf })).toBeUndefined();
  expect(asked).toEqual([{ raws: 2, children: 3, messages: 4 }]);
});

test("it starts from the least chance on, with less as an exploration, and never where it is impossible", () => {
  expect(worthOfMerge(work, of(LEAST_CHANCE))).toBeDefined();
  expect(worthOfMerge(work, of(LEAST_CHANCE - 0.001))).toBeUndefined();
  expect(worthOfMerge(work, { ...of(0.01), leastChance: 0 })).toBeDefined();
  expect(worthOfMerge(work, { ...of(1), isPossible: () => false })).toBeUndefined();
});

test("it does not start once its votes are worth nothing", () => {
  expect(worthOfMerge(work, { ...of(0.5, 0), leastChance: 0 })).toBeUndefined();
});
