/** A wrong option is refused by its name, where the node gives it. */
import { Registry } from "prom-client";
import { afterEach, expect, test, vi } from "vitest";
import { TickAggregator } from "../../../client/index.js";
import type { SubmitOptions, TickAggregatorOptions } from "../../../client/index.js";
import { cleanUp, GATES, snapshot, start } from "./adapter-setup.js";

vi.setConfig({ testTimeout: 30_000 });
afterEach(cleanUp);

const clock = { slotMs: 4000, genesisUnixMs: 0 };
test.each<[Partial<TickAggregatorOptions>, string]>([
  [{ nodeId: "" }, 'nodeId is ""'],
  [{ nodeId: "a b" }, 'nodeId is "a b": give 1 to 64 characters'],
  [{ nodeId: "x".repeat(65) }, "nodeId is"],
  [{ nodeEpoch: -1n }, "nodeEpoch is -1"],
  [{ nodeEpoch: 1n << 64n }, "nodeEpoch is 18446744073709551616"],
  [{ timeToFence: { ...clock, slotMs: 0 } }, "timeToFence.slotMs is 0"],
  [{ timeToFence: { ...clock, genesisUnixMs: NaN } }, "timeToFence.genesisUnixMs is NaN"],
  [{ timeToFence: { ...clock, intervals: 0 } }, "timeToFence.intervals is 0"],
  [{ endpoints: [] }, "endpoints is empty: name at least one"],
  [{ receiveBytesMax: 0 }, "receiveBytesMax is 0: give at least the 2097152 bytes of an event"],
  [{ receiveBytesMax: 2 ** 21 - 1 }, "receiveBytesMax is 2097151"],
  [{ receiveBytesMax: NaN }, "receiveBytesMax is NaN"],
])("an adapter is not made with %o", (wrong, message) => {
  const registry = new Registry();
  const options = { endpoints: "127.0.0.1:1", nodeId: "node-1", timeToFence: clock, registry };
  expect(() => new TickAggregator({ ...options, ...wrong })).toThrow(message);
  // Nothing is left behind by the one that was refused.
  expect(registry.getMetricsAsArray()).toEqual([]);
});

const step = (untilMs: number, weight: number) => ({ untilMs, weight });
test.each<[SubmitOptions, string]>([
  [{ minInputs: -1 }, "minInputs is -1"],
  [{ minInputs: 1.5 }, "minInputs is 1.5: give a whole number"],
  [{ deadlineMs: NaN }, "deadlineMs is NaN"],
  [{ steps: [step(100, 0)] }, "steps[0].weight is 0"],
  [{ steps: [step(NaN, 1)] }, "steps[0].untilMs is NaN"],
  [{ steps: [step(200, 2), step(100, 1)] }, "steps[1].untilMs is 100, below the 200"],
  [{ steps: [step(100, 1), step(200, 2)] }, "steps[1].weight is 2, not below the 1"],
])("a submission with %j is skipped as invalid, and reported", async (wrong, message) => {
  const errors: string[] = [];
  const { aggregator } = await start({ onError: (error) => errors.push(error.message) });
  expect(aggregator.submitOrSkip(5, GATES, snapshot, wrong)).toEqual({ skipped: "invalid" });
  expect(errors).toEqual([expect.stringContaining(message)]);
});

test("a time to the fence that throws is no fault of the snapshot", async () => {
  const errors: string[] = [];
  const { aggregator } = await start({
    timeToFence: () => {
      throw new Error("no clock");
    },
    onError: (error) => errors.push(error.message),
  });
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toEqual({ skipped: "invalid" });
  expect(errors).toEqual(["no clock"]);
});
