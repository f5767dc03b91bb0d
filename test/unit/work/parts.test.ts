/** The part of a group that is worth most: how much of it, and which inputs. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Duration } from "../../../server/work/costs/cost-model.js";
import type { Part, PartRequest } from "../../../server/work/parts.js";
import { LEAST_CHANCE } from "../../../server/work/worth.js";
import { choosePart, GroupParts, isProof, rotationOf } from "../../../server/work/parts.js";
import type { Shape } from "../../../server/work/shape.js";
import { prospectOf } from "../../../server/work/worth.js";

/** In no slot with this rotation are children kept in turn. */
const BY_WORTH = 0.5;

const range = (count: number, from = 0) => Array.from({ length: count }, (_, at) => from + at);

/** A raw costs 1, a child 10; a proof is ready in time if it costs at most `budget`. */
function request(raws: number, children: number[][], budget: number, more = {}): PartRequest {
  return {
    raws: range(raws),
    children,
    rotation: BY_WORTH,
    mayShed: true,
    prospectOf: (shape) => {
      const isInTime = shape.raws + 10 * shape.children <= budget;
      return { weight: isInTime ? 1 : 0, chance: isInTime ? 1 : 0 };
    },
    ...more,
  };
}

/** As on the measured two cores; see the table in cost-model.ts. */
function durationOf({ raws, children }: Shape): Duration {
  const alone = 770 + 2 * raws + 0.3 * raws ** 2;
  const medianMs = children > 0 ? Math.max(alone, 2750 * children + 42 * raws) : alone;
  return { medianMs, deviation: 0.3 };
}

function timed(raws: number[], children: number[][], fenceMs: number, more = {}): PartRequest {
  const { prospect = {} } = more as { prospect?: object };
  const horizon = { steps: [], fenceAtMs: fenceMs, ...prospect };
  return {
    raws,
    children,
    rotation: BY_WORTH,
    mayShed: true,
    prospectOf: (shape) => prospectOf(horizon, 0, durationOf(shape)),
    ...more,
  };
}

test("what is in time is left whole, and raws that a child covers are not needed", () => {
  expect(choosePart(request(4, [[2, 3, 100]], 12))).toEqual({
    raws: [0, 1],
    children: [0],
    covered: [2, 3],
  });
});

test("a whole that probably ends in time is worth more than a certain part of it", () => {
  // 770 + 64 + 307 = 1141 ms; slowed 2.72 times it is 3.1 s, of which the 98th percentile is 7.8 s.
  const slow = ({ raws }: Shape): Duration => {
    return { medianMs: 2.717 * durationOf({ raws, children: 0 }).medianMs, deviation: 0.45 };
  };
  const horizon = { steps: [], fenceAtMs: 6400 };
  const whole = { raws: 32, children: 0 };
  expect(slow(whole).medianMs).toBeCloseTo(3100, -1);
  const rules = { prospectOf: (shape: Shape) => prospectOf(horizon, 0, slow(shape)) };
  const best = new GroupParts({ raws: range(32), children: [], rotation: 0 }).best({
    ...rules,
    mayShed: true,
  });
  expect(best?.shape).toEqual(whole);
  // The logarithm of 6400 / 3100 is 1.611 times 0.45: the chance is 0.946.
  expect(best?.chance).toBeCloseTo(0.946, 3);
  expect(best?.worth).toBeCloseTo(30.3, 1);
});

test("a step that only a smaller proof reaches makes it worth more", () => {
  const steps = [
    { untilAtMs: 1600, weight: 4 },
    { untilAtMs: 6400, weight: 1 },
  ];
  // 64 raws take 2.1 s, which is after the step: a vote in them is worth 1.53. 35 take 1.2 s: 3.49.
  const stepped = timed(range(64), [], 6400, { prospect: { steps } });
  const part = choosePart(stepped);
  expect(part?.raws.length).toBeGreaterThan(25);
  expect(part?.raws.length).toBeLessThan(50);
  expect(choosePart(timed(range(64), [], 6400))?.raws).toHaveLength(64);
});

test("votes count beyond the best child, which the node can publish as it is", () => {
  const best = range(24, 100);
  const other = range(20, 200);
  // One child fits. The best one is a proof already, so the other is kept, though it is smaller.
  expect(choosePart(request(4, [best, other], 14))).toMatchObject({
    raws: [0, 1, 2, 3],
    children: [1],
  });
  // In no hurry the best one is folded as well: a later merge has less to do.
  expect(choosePart(request(4, [best, other], 24))?.children).toEqual([0, 1]);
  // 4 raws and 0.1 for each of 24 votes: worth 6.4 until the fence, of which the chance is 0.999.
  const parts = new GroupParts({ raws: range(4), children: [best], rotation: BY_WORTH });
  const worth = parts.best(timed(range(4), [best], 10_000))?.worth;
  expect(worth).toBeCloseTo(6.4, 1);
});

test("raws that a shed child covered count again", () => {
  const children = [
    [0, 1, 100, 101, 102],
    [2, 103, 104],
    [2, 3, 105],
  ];
  expect(choosePart(request(4, children, 22))).toEqual({
    raws: [0, 1],
    children: [1, 2],
    covered: [2, 3],
  });
});

test("raws that the best child has as well are shed before others", () => {
  const part = choosePart(request(6, [[0, 1, 2, 100]], 4));
  expect(part).toEqual({ raws: [0, 3, 4, 5], children: [], covered: [] });
});

test("without raws at least two children stay, or nothing starts", () => {
  const children = [[100, 103], [101], [102]];
  expect(choosePart(request(0, children, 20))?.children).toEqual([1, 2]);
  expect(choosePart(request(0, children, 19))).toBeUndefined();
});

test("a group that may not be cut starts whole or not at all", () => {
  expect(choosePart(request(4, [], 3, { mayShed: false }))).toBeUndefined();
  expect(choosePart(request(4, [], 4, { mayShed: false }))?.raws).toHaveLength(4);
});

test("nothing starts below the least chance, and a smaller part above it is preferred", () => {
  const chances = (of: (shape: Shape) => number) => ({
    prospectOf: (shape: Shape) => ({ weight: of(shape), chance: of(shape) }),
  });
  const { raws } =
    choosePart(
      request(
        4,
        [],
        0,
        chances(() => LEAST_CHANCE),
      ),
    ) ?? {};
  expect(raws).toHaveLength(4);
  const below = LEAST_CHANCE - 0.001;
  expect(
    choosePart(
      request(
        4,
        [],
        0,
        chances(() => below),
      ),
    ),
  ).toBeUndefined();
  const falling = chances((shape) => (shape.raws > 1 ? below : LEAST_CHANCE));
  expect(choosePart(request(100, [], 0, falling))?.raws).toHaveLength(1);
  expect(choosePart(request(4, [], 0, { ...chances(() => 0.01), leastChance: 0 }))?.raws).toEqual(
    range(4),
  );
});

test("what the device does not take is not among the parts", () => {
  const isPossible = ({ raws, children }: Shape) => raws <= 3 && children === 0;
  expect(choosePart(request(8, [[100]], 100, { isPossible }))?.raws).toHaveLength(3);
  expect(choosePart(request(8, [], 100, { isPossible, mayShed: false }))).toBeUndefined();
});

test("nothing to prove is no miss, however little is in time", () => {
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

test("every child is kept in some slot where they never fit all", () => {
  const children = range(8).map((child) => range(child + 1, 100 * (child + 1)));
  const seen = new Set<number>();
  for (let slot = 0; slot < 200; slot++) {
    const rotation = rotationOf(BigInt(slot));
    for (const child of choosePart(request(2, children, 22, { rotation }))?.children ?? []) {
      seen.add(child);
    }
  }
  expect(seen.size).toBe(8);
});

const child = fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 8 });
const group = fc.record({
  raws: fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { maxLength: 30 }),
  children: fc.array(child, { maxLength: 4 }),
  rotation: fc.double({ min: 0, max: 0.999, noNaN: true }),
});

/** The votes of the part, those of the largest child at a tenth. */
function gainOf({ raws, children }: Pick<PartRequest, "raws" | "children">, part: Part): number {
  const largest = children.find(
    (each) => each.length === Math.max(...children.map(({ length }) => length)),
  );
  const votes = new Set([
    ...part.raws.map((at) => raws[at] ?? -1),
    ...part.children.flatMap((at) => children[at] ?? []),
  ]);
  return [...votes].reduce((sum, vote) => sum + (largest?.includes(vote) === true ? 0.1 : 1), 0);
}

const shapeOfPart = ({ raws, children }: Part): Shape => {
  return { raws: raws.length, children: children.length };
};

test("no other part of these children is expected to be worth more, by any durations", () => {
  const durations = fc.record({
    fixed: fc.integer({ min: 1, max: 3000 }),
    raw: fc.integer({ min: 0, max: 200 }),
    square: fc.integer({ min: 0, max: 20 }),
    child: fc.integer({ min: 0, max: 3000 }),
    deviation: fc.double({ min: 0.05, max: 1, noNaN: true }),
    ends: fc.uniqueArray(fc.integer({ min: 100, max: 8000 }), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(group, durations, ({ raws, children, rotation }, drawn) => {
      const steps = drawn.ends
        .sort((a, b) => a - b)
        .map((untilAtMs, at) => ({ untilAtMs, weight: 4 / 2 ** at }));
      const horizon = { steps, fenceAtMs: 6400 };
      const of = (shape: Shape) => {
        const { fixed, raw, square, child: each, deviation } = drawn;
        const medianMs =
          fixed + raw * shape.raws + square * shape.raws ** 2 + each * shape.children;
        return prospectOf(horizon, 0, { medianMs, deviation });
      };
      const parts = new GroupParts({ raws, children, rotation });
      const whole = parts.wholeShape;
      if (!parts.hasProof) return;
      const best = parts.best({ mayShed: true, prospectOf: of });
      for (let kept = 0; kept <= whole.children; kept++) {
        const all = parts.partOf({ raws: raws.length, children: kept }).raws.length;
        for (let count = 0; count <= all; count++) {
          const part = parts.partOf({ raws: count, children: kept });
          const { weight, chance } = of(shapeOfPart(part));
          if (!isProof(part) || chance < LEAST_CHANCE) continue;
          const worth = weight * gainOf({ raws, children }, part);
          expect(worth).toBeLessThanOrEqual((best?.worth ?? 0) * 1.011);
        }
      }
      if (best === undefined) return;
      const chosen = parts.partOf(best.shape);
      expect(shapeOfPart(chosen)).toEqual(best.shape);
      const gain = gainOf({ raws, children }, chosen);
      expect(best.worth).toBeCloseTo(of(best.shape).weight * gain, 6);
    }),
    { numRuns: 500 },
  );
});

test("a longer fence never makes a group worth less", () => {
  const fence = fc.integer({ min: 500, max: 12_000 });
  fc.assert(
    fc.property(group, fence, fc.nat(4000), ({ raws, children, rotation }, fenceMs, more) => {
      const worth = (ms: number) =>
        new GroupParts({ raws, children, rotation }).best(timed(raws, children, ms))?.worth ?? 0;
      expect(worth(fenceMs + more) * 1.011).toBeGreaterThanOrEqual(worth(fenceMs));
    }),
  );
});

test("a part is in time, and names every input once", () => {
  fc.assert(
    fc.property(group, fc.integer({ min: 0, max: 60 }), ({ children, ...drawn }, budget) => {
      const raws = range(drawn.raws.length);
      const part = choosePart(request(raws.length, children, budget, drawn));
      if (part === undefined || !isProof(part)) return;
      expect(part.raws.length + 10 * part.children.length).toBeLessThanOrEqual(budget);
      const named = [...part.raws, ...part.covered];
      expect(new Set(named).size).toBe(named.length);
      const kept = new Set(part.children.flatMap((at) => children[at] ?? []));
      for (const at of part.covered) expect(kept.has(drawn.raws[at] ?? -1)).toBe(true);
      for (const at of part.raws) expect(kept.has(drawn.raws[at] ?? -1)).toBe(false);
    }),
  );
});
