/** The short form of `make load`: what must hold on any machine, however busy. */
import { expect, test } from "vitest";
import { unprovableSnapshot } from "../../../tools/bench/inputs.js";
import type { BenchService } from "../../../tools/bench/with-service.js";
import { withService } from "../../../tools/bench/with-service.js";
import { residentOf } from "../../../tools/harness/processes/processes.js";
import { StreamNode } from "../../../tools/harness/wire/stream-node.js";
import { runLoad } from "../../../tools/bench/load/run-load.js";

const RESIDENT_BYTES_MAX = 600e6;

async function expectNothingLost(service: BenchService): Promise<void> {
  const options = { streams: 16, perSecond: 100, seconds: 3, warmUpSeconds: 1 };
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
  ["work that can nearly all be proved", "dist/tools/bench/load/fast-service.js"],
])(
  "under %s from 16 nodes, every accepted group ends once and memory stays in bounds",
  (_, script) => withService(expectNothingLost, ["--prover", "fake"], script),
);

test("results that are retained hold nothing of the requests that they answer", () =>
  withService(
    async ({ address, metrics }) => {
      const snapshot = unprovableSnapshot(1_000_000);
      // Each node's results are those of its last hundred sessions.
      for (const id of ["a", "b", "c"]) {
        const node = await StreamNode.open(address, id);
        for (let at = 0; at < 100; at++) {
          const { result } = await node.submit({ snapshot, deadlineMs: 1000, fenceMs: 1000 });
          if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
          await node.outcomesOf(result.value.requestId);
        }
        node.close();
      }
      expect(
        (await metrics()).get("lean_aggregator_server_nodejs_external_memory_bytes"),
      ).toBeLessThan(150e6);
    },
    ["--prover", "fake"],
  ));
