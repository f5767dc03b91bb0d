/** The short form of `make load`: what must hold on any machine, however busy. */
import { expect, test } from "vitest";
import type { BenchService } from "../bench/with-service.js";
import { withService } from "../bench/with-service.js";
import { residentOf } from "../helpers/processes.js";
import { runLoad } from "../load/run-load.js";

const RESIDENT_BYTES_MAX = 600e6;

async function expectNothingLost(service: BenchService): Promise<void> {
  const options = { streams: 16, perSecond: 100, seconds: 4, warmUpSeconds: 0 };
  const result = await runLoad(service, options, () => undefined);
  expect(result.problems).toEqual([]);
  expect(result.errors).toEqual({});
  expect(result.settled).toBe(result.accepted);
  expect(result.settled).toBeGreaterThan(0);
  const skipped = Object.values(result.skips).reduce((sum, each) => sum + each, 0);
  expect(result.accepted + skipped).toBe(result.submissions);
  expect(residentOf(service.process.pid).peak).toBeLessThan(RESIDENT_BYTES_MAX);
}

test.each([
  ["far more work than one device can prove", undefined],
  ["work that can nearly all be proved", "dist/test/load/fast-service.js"],
])(
  "under %s from 16 nodes, every accepted group ends once and memory stays in bounds",
  (_, script) => withService(expectNothingLost, ["--prover", "fake"], script),
);
