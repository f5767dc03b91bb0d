/** What holds of the cost model whatever it was taught, and how good it is on devices that behave. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { costBounds } from "../../../server/work/costs/cost-bounds.js";
import type { CostModel } from "../../../server/work/costs/cost-model.js";
import {
  aged,
  freshCostModel,
  learn,
  learnAtLeast,
  optimisticMs,
  pessimisticMs,
  predictMs,
} from "../../../server/work/costs/cost-model.js";
import type { Shape } from "../../../server/work/shape.js";
import { smallestShape } from "../../../server/work/shape.js";
import { Random } from "../../../tools/sim/random.js";

const shape = fc.record({ raws: fc.nat(4096), children: fc.nat(16) });
const sample = fc.record({
  raws: fc.nat(4096),
  children: fc.nat(16),
  ms: fc.double({ min: 0, max: 1e7, noNaN: true }),
  afterMs: fc.nat(600_000),
  isKilled: fc.boolean(),
});
/** A model that was taught anything, sense or nonsense. */
const taught = fc.array(sample, { maxLength: 40 }).map((samples) => {
  let model: CostModel = freshCostModel;
  for (const { raws, children, ms, afterMs, isKilled } of samples) {
    model = (isKilled ? learnAtLeast : learn)(model, { raws, children }, ms, model.atMs + afterMs);
  }
  return model;
});

describe("whatever was taught", () => {
  test("more raws or children never cost less", () => {
    fc.assert(
      fc.property(taught, shape, fc.nat(64), fc.nat(4), (model, less, raws, children) => {
        const ms = predictMs(model, less) * (1 - 1e-9);
        const more = predictMs(model, {
          raws: less.raws + raws,
          children: less.children + children,
        });
        expect(more).toBeGreaterThanOrEqual(ms);
      }),
    );
  });

  test("nor do more raws alone, seen either way", () => {
    fc.assert(
      fc.property(taught, fc.nat(4096), fc.nat(64), (model, less, raws) => {
        for (const seen of [optimisticMs, pessimisticMs]) {
          const ms = seen(model, { raws: less, children: 0 }) * (1 - 1e-9);
          expect(seen(model, { raws: less + raws, children: 0 })).toBeGreaterThanOrEqual(ms);
        }
      }),
    );
  });

  test("a prediction is a positive number between the optimistic and the pessimistic", () => {
    fc.assert(
      fc.property(taught, shape, (model, { raws, children }) => {
        const ms = predictMs(model, { raws, children });
        expect(ms).toBeGreaterThan(0);
        expect(optimisticMs(model, { raws, children })).toBeLessThan(ms);
        expect(pessimisticMs(model, { raws, children })).toBeGreaterThan(ms);
        expect(pessimisticMs(model, { raws, children })).toBeLessThan(ms * 10);
      }),
    );
  });

  test("a kill lowers no prediction, of whatever shape", () => {
    fc.assert(
      fc.property(taught, shape, shape, fc.nat(60_000), (model, killed, other, ranMs) => {
        const after = learnAtLeast(model, killed, ranMs, model.atMs);
        expect(predictMs(after, other)).toBeGreaterThanOrEqual(predictMs(model, other));
      }),
    );
  });

  test("time widens the range and moves no prediction", () => {
    fc.assert(
      fc.property(taught, shape, fc.nat(10_000_000), (model, { raws, children }, ms) => {
        const older = aged(model, model.atMs + ms);
        expect(predictMs(older, { raws, children })).toBe(predictMs(model, { raws, children }));
        const width = (each: CostModel) =>
          pessimisticMs(each, { raws, children }) / optimisticMs(each, { raws, children });
        expect(width(older)).toBeGreaterThanOrEqual(width(model) * (1 - 1e-9));
      }),
    );
  });
});

const SLOT_MS = 4000;
const SHAPES: readonly Shape[] = [
  { raws: 1, children: 0 },
  { raws: 8, children: 0 },
  { raws: 16, children: 0 },
  { raws: 32, children: 0 },
  { raws: 64, children: 0 },
  { raws: 96, children: 0 },
  { raws: 32, children: 1 },
  { raws: 1, children: 1 },
  { raws: 0, children: 2 },
  { raws: 0, children: 3 },
];

/** A device on which nothing costs what the table says, and children compare otherwise. */
const truthMs = ({ raws, children }: Shape) => 300 + 4 * raws + 0.15 * raws ** 2 + 1500 * children;

/** Standard normal, by Box and Muller. */
function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

/** What proofs of a device with this scatter take. */
const tookMsOf = (random: Random, shape: Shape, scatter: number) =>
  truthMs(shape) * Math.exp(scatter * normal(random));

interface Run {
  model: CostModel;
  /** Of the proofs: took less than the optimistic, more than the pessimistic prediction. */
  belowShare: number;
  aboveShare: number;
}

/** A proof of some shape a slot; `slowness` of the n-th multiplies what it takes. */
function prove(from: CostModel, proofs: number, slowness: (n: number) => number): Run {
  const random = new Random(7);
  let model = from;
  let below = 0;
  let above = 0;
  for (let n = 0; n < proofs; n++) {
    const shape = random.pick(SHAPES);
    const tookMs = tookMsOf(random, shape, 0.1) * slowness(n);
    model = aged(model, model.atMs + SLOT_MS);
    if (tookMs < optimisticMs(model, shape)) below++;
    if (tookMs > pessimisticMs(model, shape)) above++;
    model = learn(model, shape, tookMs, model.atMs);
  }
  return { model, belowShare: below / proofs, aboveShare: above / proofs };
}

/** The worst of the shapes: predicted over true. */
function ratios(model: CostModel, slowness = 1): number[] {
  return SHAPES.map((shape) => {
    return predictMs(model, shape) / (slowness * truthMs(shape));
  });
}

describe("on a device that proves with a scatter of a tenth", () => {
  const settled = prove(freshCostModel, 100, () => 1).model;

  test("predictions of all shapes are right within a sixth after 100 proofs", () => {
    expect(Math.min(...ratios(settled))).toBeGreaterThan(1 / 1.17);
    expect(Math.max(...ratios(settled))).toBeLessThan(1.17);
  });

  test("a fiftieth takes less than the optimistic, a fiftieth more than the pessimistic time", () => {
    const { belowShare, aboveShare } = prove(settled, 5000, () => 1);
    expect(belowShare).toBeGreaterThan(0.01);
    expect(belowShare).toBeLessThan(0.035);
    expect(aboveShare).toBeGreaterThan(0.01);
    expect(aboveShare).toBeLessThan(0.035);
  });

  for (const slowness of [2, 0.5]) {
    test(`and then takes ${slowness} times as long, it is right again after 10 proofs`, () => {
      const { model } = prove(settled, 10, () => slowness);
      expect(Math.min(...ratios(model, slowness))).toBeGreaterThan(1 / 1.25);
      expect(Math.max(...ratios(model, slowness))).toBeLessThan(1.25);
    });
  }

  test("one proof that takes ten times as long moves no prediction by more than a fifth", () => {
    const { model } = prove(settled, 1, () => 10);
    expect(Math.max(...ratios(model))).toBeLessThan(1.2 * Math.max(...ratios(settled)));
  });

  test("and now and then eight times as long, the range still holds for the rest", () => {
    const { aboveShare, belowShare } = prove(settled, 5000, (n) => (n % 100 < 3 ? 8 : 1));
    expect(aboveShare).toBeLessThan(0.05);
    expect(belowShare).toBeLessThan(0.2);
  });

  test("after three in a row it is right again within 10 proofs", () => {
    const { model } = prove(settled, 13, (n) => (n < 3 ? 8 : 1));
    expect(Math.max(...ratios(model))).toBeLessThan(1.6);
  });
});

describe("after an hour without proofs", () => {
  const SETTLING = 100;
  const PROOFS = 20;
  const DEVICES = 300;
  const HOUR_MS = 3_600_000;

  /** Shares of the n-th proofs after the hour that took more than the pessimistic prediction. */
  function aboveShares(scatter: number): number[] {
    const above = Array.from({ length: PROOFS }, () => 0);
    for (let seed = 1; seed <= DEVICES; seed++) {
      const random = new Random(seed * 7919);
      let model: CostModel = freshCostModel;
      for (let n = -SETTLING; n < PROOFS; n++) {
        const shape = random.pick(SHAPES);
        const tookMs = tookMsOf(random, shape, scatter);
        model = aged(model, model.atMs + (n === 0 ? HOUR_MS : SLOT_MS));
        if (n >= 0 && tookMs > pessimisticMs(model, shape)) above[n] = (above[n] ?? 0) + 1;
        model = learn(model, shape, tookMs, model.atMs);
      }
    }
    return above.map((count) => count / DEVICES);
  }

  test.each([0.07, 0.15, 0.3])(
    "no more take longer than the pessimistic time, with a scatter of %d",
    (scatter) => {
      const shares = aboveShares(scatter);
      expect(Math.max(...shares)).toBeLessThan(0.06);
      expect(shares.reduce((sum, share) => sum + share, 0) / PROOFS).toBeLessThan(0.027);
    },
  );
});

describe("at the bounds of what a cost file or another host may hold", () => {
  const { coefficients, logMax, covarianceMax, scatterMin, scatterMax } = costBounds;
  const models = [-logMax, 0, logMax].flatMap((log) =>
    [0, covarianceMax].flatMap((variance) =>
      [scatterMin, scatterMax].map((scatter) => {
        const logMs = Array.from({ length: coefficients }, () => log);
        const covariance = logMs.map((_, row) =>
          logMs.map((__, at) => (at === row ? variance : 0)),
        );
        return { logMs, covariance, scatter, atMs: 0 };
      }),
    ),
  );

  test.each([0, 1, 6000, 1e9])("a proof or kill at %d ms leaves predictions finite", (ms) => {
    for (const model of models) {
      for (const teach of [learn, learnAtLeast]) {
        const after = teach(model, smallestShape, ms, 0);
        for (const seen of [optimisticMs, predictMs, pessimisticMs]) {
          expect(seen(after, smallestShape)).toBeGreaterThan(0);
          expect(seen(after, smallestShape)).toBeLessThan(Infinity);
        }
      }
    }
  });
});
