/** What the log says of a collector: little, whatever that answers. */
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { SkipReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ActivityFeed } from "../../../server/activity.js";
import { LIBRARY_ERROR_LENGTH_MAX } from "../../../server/errors.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import type { Sent } from "../../../server/traces/collector.js";
import { Tracing } from "../../../server/traces/tracing.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

function tracingTo(answer: () => Sent) {
  const clock = new VirtualClock();
  const activity = new ActivityFeed(64);
  const lines: { text: string; reason?: string }[] = [];
  const note = (fields: object, text = "") => void lines.push({ ...fields, text });
  const log = { debug: note, info: note, warn: note, error: note };
  const tracing = new Tracing(
    { ratio: 1, serviceId: "s", instance: "i", version: "1" },
    {
      ...{ clock, log, activity, metrics: createMetrics() },
      collector: { send: () => Promise.resolve(answer()), close: () => undefined },
      random: (bytes) => Buffer.alloc(bytes, 1),
    },
  );
  /** One request, a second after the last. */
  const request = async () => {
    clock.standStill(1000);
    const value = { nodeId: "n", requestId: "r", receivedAtMs: 4, reason: SkipReason.IN_FLIGHT };
    activity.add({ atMs: 5, event: { case: "skipped", value } });
    tracing.collect();
    await setImmediate();
  };
  return { lines, request };
}

test("a text of the collector is cut, and shown without control characters", async () => {
  const reason = `too old\u001b[2J\n${"x".repeat(60_000)}`;
  const { lines, request } = tracingTo(() => ({ kind: "taken", rejected: 1, reason }));
  await request();
  expect(lines).toHaveLength(1);
  expect(lines[0]?.reason).toMatch(/^too old \[2J x+…$/);
  expect(lines[0]?.reason).toHaveLength(LIBRARY_ERROR_LENGTH_MAX + 1);
});

test("a collector that rejects spans now and then is logged once a minute", async () => {
  let requests = 0;
  const { lines, request } = tracingTo(() => {
    return { kind: "taken", rejected: ++requests % 2, reason: "some" };
  });
  for (let seconds = 0; seconds < 120; seconds++) await request();
  expect(requests).toBe(120);
  expect(lines.map(({ text }) => text.includes("takes the traces again"))).toEqual([
    ...[false, true],
    ...[false, true],
  ]);
});
