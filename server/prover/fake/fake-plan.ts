/**
 * What the fake prover does when it proves: how long each proof takes, and which proofs fail. The
 * settings `fakeTime`, `fakeSeed` and `fakeFailures` say it. Proofs are numbered by device from 1, so
 * that the nth proof of a device does the same in every run.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Costs } from "../../work/costs/costs.js";
import type { Shape } from "../../work/shape.js";
import { alternatives } from "../../json/safe-parse.js";

/** Longest time that a part of `fakeTime` may name, in milliseconds. */
const TIME_MS_MAX = 600_000;

/**
 * Time of a proof in milliseconds: random from `minMs` to `maxMs`, plus a part for each input. The proofs
 * of a merge are children.
 */
export interface FakeTime {
  minMs: number;
  maxMs: number;
  rawMs: number;
  childMs: number;
}

/**
 * `error`: the prover reports an error. `death`: its process ends. `hang`: it never answers. `invalid`:
 * its proof does not verify.
 */
const FAILURES = ["error", "death", "hang", "invalid"] as const;
export type FakeFailure = (typeof FAILURES)[number];

const DEFAULT_TIME: FakeTime = { minMs: 200, maxMs: 200, rawMs: 0, childMs: 0 };
const DEFAULT_SEED = 1;

/** Stands for a cost of 0 in the cost model, which holds logarithms. */
const COST_MS_MIN = 0.00001;
/** Variance of each logarithm of a cost: the plan is known. */
const VARIANCE = 0.05 ** 2;
/** Least standard deviation of a time's logarithm: a timer of a loaded machine is late. */
const DEVIATION_MIN = 0.1;

const TIME = /^(\d+)(?:-(\d+))?(?:\+(\d+(?:\.\d+)?)\/raw)?(?:\+(\d+(?:\.\d+)?)\/child)?$/;
const expectedTime =
  "expected milliseconds such as 200, 100-900 (random) or 100+4/raw+60/child (for each input), " +
  `each at most ${TIME_MS_MAX}`;

/** Schema of the setting `fakeTime`, a text or, in a file, also a number. */
export const fakeTimeSchema = z
  .preprocess(
    (value) => (typeof value === "number" ? String(value) : value),
    z.string(expectedTime).regex(TIME, expectedTime),
  )
  .transform((text, context): FakeTime => {
    const [, min, max = min, raw = 0, child = 0] = TIME.exec(text) ?? [];
    const time = { minMs: Number(min), maxMs: Number(max) };
    const perInput = { rawMs: Number(raw), childMs: Number(child) };
    const all = { ...time, ...perInput };
    if (time.minMs > time.maxMs || Object.values(all).some((ms) => ms > TIME_MS_MAX)) {
      context.addIssue({ code: "custom", message: expectedTime });
    }
    return all;
  });

const expectedFailures =
  `expected failures such as error:10, which fails every 10th proof; ` +
  `a failure is ${alternatives(FAILURES)}, and is named once`;

/** Schema of the setting `fakeFailures`, a list or a text separated by commas. */
export const fakeFailuresSchema = z
  .preprocess(
    (value) => (typeof value === "string" ? value.split(",").map((part) => part.trim()) : value),
    z.array(z.string(expectedFailures), expectedFailures),
  )
  .transform((texts, context): readonly { failure: FakeFailure; every: number }[] => {
    const failures = texts.flatMap((text) => {
      const [, name, every] = /^([a-z]+):([1-9]\d{0,8})$/.exec(text) ?? [];
      const failure = FAILURES.find((each) => each === name);
      return failure === undefined ? [] : [{ failure, every: Number(every) }];
    });
    const names = new Set(failures.map(({ failure }) => failure));
    if (names.size !== texts.length) {
      context.addIssue({ code: "custom", message: expectedFailures });
    }
    return failures;
  });

/** What a setting leaves out: 200 ms for each proof, seed 1, no failures. */
export interface FakePlanSettings {
  fakeTime?: FakeTime | undefined;
  fakeSeed?: number | undefined;
  fakeFailures?: readonly { failure: FakeFailure; every: number }[] | undefined;
}

/**
 * What one device's fake provers do, one proof after another, also after a prover was replaced. Both
 * functions are called once for each proof.
 *
 * @param device index of the device: each device draws other random times
 */
export function fakePlan(settings: FakePlanSettings, device: number) {
  const { fakeTime = DEFAULT_TIME, fakeSeed = DEFAULT_SEED, fakeFailures = [] } = settings;
  const { minMs, maxMs, rawMs, childMs } = fakeTime;
  let timed = 0;
  let begun = 0;
  return {
    /** The next proof's time in milliseconds. */
    proveMs({ raws, children }: Shape): number {
      timed++;
      const drawnMs = minMs + (maxMs - minMs) * drawn([fakeSeed, device, timed]);
      return drawnMs + rawMs * raws + childMs * children;
    },
    /** How the next proof fails; undefined when it does not. */
    failure(): FakeFailure | undefined {
      begun++;
      return fakeFailures.find(({ every }) => begun % every === 0)?.failure;
    },
  };
}

/**
 * The costs that predict the plan's times, so that no first snapshot is skipped, or a child
 * shed, as too long for the budgets.
 *
 * @param atMs now, in milliseconds of the service's monotonic clock
 */
export function fakeCosts({ fakeTime = DEFAULT_TIME }: FakePlanSettings, atMs: number): Costs {
  const { minMs, maxMs, rawMs, childMs } = fakeTime;
  const medianMs = Math.max(1, (minMs + maxMs) / 2);
  // The model has no fixed cost beside children: one child is predicted exactly, more as longer.
  const eachChildMs = childMs === 0 ? 0 : medianMs + childMs;
  const costs = [medianMs, rawMs, 0, eachChildMs, rawMs];
  const logMs = costs.map((ms) => Math.log(Math.max(COST_MS_MIN, ms)));
  const covariance = costs.map((_, row) => costs.map((__, at) => (row === at ? VARIANCE : 0)));
  // The longest random time is about the 98th percentile, two standard deviations up.
  const deviation = Math.max(DEVIATION_MIN, Math.log(Math.max(1, maxMs) / medianMs) / 2);
  const model = { logMs, covariance, scatter: deviation ** 2, atMs };
  return (["fold", "merge"] as const).map((kind) => ({ kind, logInvRate: 0, model }));
}

/** A number from 0 to below 1 that depends on the given numbers only. */
function drawn(from: readonly number[]): number {
  return createHash("sha256").update(from.join(":")).digest().readUInt32LE(0) / 2 ** 32;
}

/** What the log says of the plan at the service's start. */
export function planText({ fakeTime, fakeSeed, fakeFailures = [] }: FakePlanSettings) {
  const { minMs, maxMs, rawMs, childMs } = fakeTime ?? DEFAULT_TIME;
  return {
    proveMs:
      (minMs === maxMs ? `${minMs}` : `${minMs}-${maxMs}`) +
      (rawMs === 0 ? "" : `+${rawMs}/raw`) +
      (childMs === 0 ? "" : `+${childMs}/child`),
    ...(minMs !== maxMs && { seed: fakeSeed ?? DEFAULT_SEED }),
    ...(fakeFailures.length > 0 && {
      failures: fakeFailures.map(({ failure, every }) => `${failure}:${every}`),
    }),
  };
}
