/** The part of a group that fits: children go first, then raws, in rotation. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { PartRequest } from "../../../server/work/parts.js";
import { choosePart, isProof, rotationOf } from "../../../server/work/parts.js";
import type { Shape } from "../../../server/work/shape.js";

/** A raw costs 1, a child 10; `budget` is what fits. */
function request(raws: number, children: number[][], budget: number, more = {}): PartRequest {
  return {
    raws: Array.from({ length: raws }, (_, at) => at),
    children,
    rotation: 0,
    mayShed: true,
    fits: (shape) => shape.raws + 10 * shape.children <= budget,
    mayStart: () => false,
    ...more,
  };
}

test("what fits is left whole, and raws that a child covers are not needed", () => {
  expect(choosePart(request(4, [[2, 3, 100]], 12))).toEqual({
    raws: [0, 1],
    children: [0],
    covered: [2, 3],
  });
});

test("children are shed one by one, and raws that a shed child covered count again", () => {
  const children = [[0, 1, 100], [2, 101], [102]];
  expect(choosePart(request(4, children, 20))).toEqual({
    raws: [2, 3],
    children: [0],
    covered: [0, 1],
  });
  expect(choosePart(request(4, children, 9))).toEqual({
    raws: [0, 1, 2, 3],
    children: [],
    covered: [],
  });
});

test("then raws are, down to as many as fit", () => {
  expect(choosePart(request(40, [[100]], 7))?.raws).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

test("without raws at least two children stay, or nothing starts", () => {
  const children = [[100], [101], [102]];
  expect(choosePart(request(0, children, 20))?.children).toEqual([0, 1]);
  expect(choosePart(request(0, children, 19))).toBeUndefined();
});

test("a group that may not be cut starts whole or not at all", () => {
  expect(choosePart(request(4, [], 3, { mayShed: false }))).toBeUndefined();
  const likely = { mayShed: false, mayStart: ({ raws }: Shape) => raws === 4 };
  expect(choosePart(request(4, [], 3, likely))?.raws).toHaveLength(4);
});

test("the least may start though nothing is sure to fit", () => {
  const asked: Shape[] = [];
  const mayStart = (shape: Shape) => asked.push(shape) > 0;
  expect(choosePart(request(4, [[9]], 0, { mayStart }))?.raws).toEqual([0]);
  const children = [[100], [101], [102]];
  expect(choosePart(request(0, children, 0, { mayStart }))?.children).toEqual([0, 1]);
  expect(asked).toEqual([
    { raws: 1, children: 0 },
    { raws: 0, children: 2 },
  ]);
});

test("nothing to prove is no miss, however little fits", () => {
  const part = choosePart(request(2, [[0, 1, 2]], 0));
  expect(part).toEqual({ raws: [], children: [0], covered: [0, 1] });
  expect(part !== undefined && isProof(part)).toBe(false);
});

test("an input too large is represented as a whole within a few slots, whichever slots they are", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 200 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 32 }),
      fc.integer({ min: 0, max: 1_000_000 }),
      (raws, share, step, first) => {
        const budget = Math.ceil(raws / share);
        const seen = new Set<number>();
        // One of 200 is missed by all of 20 windows each 1/share wide once in a million runs.
        for (let round = 0; round < 20 * share; round++) {
          const rotation = rotationOf(BigInt(first + round * step));
          for (const at of choosePart(request(raws, [], budget, { rotation }))?.raws ?? [])
            seen.add(at);
        }
        expect(seen.size).toBe(raws);
      },
    ),
    { seed: 1 },
  );
});

test("a part fits, and names every input once", () => {
  const child = fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 20 }),
      fc.array(child, { maxLength: 5 }),
      fc.integer({ min: 0, max: 60 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (raws, children, budget, rotation) => {
        const part = choosePart(request(raws, children, budget, { rotation }));
        if (part === undefined || !isProof(part)) return;
        expect(part.raws.length + 10 * part.children.length).toBeLessThanOrEqual(budget);
        const named = [...part.raws, ...part.covered];
        expect(new Set(named).size).toBe(named.length);
        const kept = new Set(part.children.flatMap((at) => children[at] ?? []));
        for (const at of part.covered) expect(kept.has(at)).toBe(true);
        for (const at of part.raws) expect(kept.has(at)).toBe(false);
      },
    ),
  );
});
