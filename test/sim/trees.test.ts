/** Large groups as trees of jobs over several devices, on virtual time. */
import { expect, test } from "vitest";
import { runTree } from "../../tools/sim-report/trees/tree-run.js";

const folds = { rawsMax: 400, rawsBesideMax: 400, separatesRaws: true, arities: 0b10100 };
const usual = { seed: 1, signatures: 1000, devices: 1, folds };

test("a group over the limits of one proof is cut into the fewest jobs, which idle devices share", async () => {
  const one = await runTree(usual);
  expect(one.jobs).toEqual({ leaves: 3, folds: 2 });
  const four = await runTree({ ...usual, devices: 4 });
  expect(four.jobs).toEqual(one.jobs);
  expect(four.readyMs).toBeLessThan(0.7 * one.readyMs);
});

test("4096 signatures are proved four times as fast on 16 devices as on one", async () => {
  const one = await runTree({ ...usual, signatures: 4096 });
  const sixteen = await runTree({ ...usual, signatures: 4096, devices: 16 });
  expect(one.jobs).toEqual({ leaves: 11, folds: 4 });
  expect(sixteen.readyMs).toBeLessThan(one.readyMs / 4);
});
