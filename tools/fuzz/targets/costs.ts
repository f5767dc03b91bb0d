/** A file of learned costs is not used, and the log says why; or every prediction makes sense. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limits } from "../../../server/limits.js";
import { CostFiles, costFilePath } from "../../../server/lane/costs/cost-file.js";
import {
  freshCostModel,
  learn,
  optimisticMs,
  pessimisticMs,
  predictMs,
} from "../../../server/work/costs/cost-model.js";
import { modelOf } from "../../../server/work/costs/costs.js";
import { peakBytes } from "../../../server/work/costs/memory-model.js";
import { SkippingClock } from "../../harness/skipping-clock.js";
import { mutateValue } from "../engine/mutate-value.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

const SYSTEM = "scheme 1";
const SHAPES = [
  { raws: 1, children: 0 },
  { raws: 64, children: 0 },
  { raws: limits.validatorsMax, children: limits.childrenMax },
  { raws: 0, children: 2 },
  { raws: 1, children: 8, messages: 9 },
];

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const contentOf = ({ logMs, covariance, scatter }: typeof freshCostModel) =>
  encode({
    format: 4,
    memory: [
      { proofSystem: SYSTEM, raws: 32, children: 0, logInvRate: 0, bytes: 1_000_000_000 },
      { proofSystem: SYSTEM, raws: 8, children: 2, logInvRate: 2, bytes: 1_500_000_000 },
      { proofSystem: SYSTEM, raws: 1, children: 3, messages: 4, logInvRate: 0, bytes: 2e9 },
    ],
    costs: [
      { kind: "fold", logInvRate: 0 },
      { kind: "fold", logInvRate: 2 },
      { kind: "merge", logInvRate: 0 },
    ].map((key) => ({
      ...{ proofSystem: SYSTEM, ...key },
      ...{ atUnixMs: 1_790_000_000_000, logMs, covariance, scatter },
    })),
  });

export const target: FuzzTarget = {
  name: "costs",
  bytesMax: 4096,
  msMax: 25,
  msPerKb: 10,
  seeds: () => {
    const learned = learn(
      learn(freshCostModel, { raws: 32, children: 0 }, 900, 0),
      { raws: 8, children: 1 },
      3000,
      4000,
    );
    return [freshCostModel, learned].map(contentOf);
  },
  mutate: (input, random) => {
    try {
      return encode(mutateValue(JSON.parse(Buffer.from(input).toString()), random));
    } catch {
      return input;
    }
  },
  open: () => {
    const folder = mkdtempSync(join(tmpdir(), "lean-fuzz-costs-"));
    const path = costFilePath(folder, "cpu");
    let lines = 0;
    const count = () => void lines++;
    const log = { debug: count, info: count, warn: count, error: count };
    const options = { folder, uid: process.getuid?.() };
    const files = new CostFiles(options, { clock: new SkippingClock(), log });
    return {
      run: (input) => {
        writeFileSync(path, input);
        lines = 0;
        const kept = files.load("cpu", SYSTEM);
        holds(lines === 1, "the log says what came of it");
        if (kept === undefined) return;
        for (const shape of SHAPES.flatMap((each) =>
          [0, 2].map((logInvRate) => ({ ...each, logInvRate })),
        )) {
          const peak = peakBytes(kept.memory, shape);
          holds(peak > 0 && Number.isFinite(peak), "memory is predicted for every shape");
          const [low, middle, high] = [optimisticMs, predictMs, pessimisticMs].map((of) =>
            of(modelOf(kept.costs, shape), shape),
          ) as [number, number, number];
          holds(low > 0 && low <= middle && middle <= high, "a prediction is between its bounds");
          holds(Number.isFinite(high), "and a number");
        }
      },
      close: () => rm(folder, { recursive: true }),
    };
  },
};
