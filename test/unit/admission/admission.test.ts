/** What admission decides before it needs the groups of a snapshot. */
import { beforeEach, expect, test } from "vitest";
import { Admission } from "../../../server/admission/admission.js";
import { limits } from "../../../server/limits.js";
import { createLog } from "../../../server/log/log.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import type { Metrics } from "../../../server/metrics/metrics.js";
import { Schedules } from "../../../server/schedule/schedules.js";
import type { Envelope } from "../../../server/work/submission.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";
import { metricValue } from "../../helpers/metric-value.js";

const envelope: Envelope = {
  nodeId: "node",
  requestId: "1",
  contentDigest: "aa",
  principal: { name: "test", quota: {} },
  nodeEpoch: 1n,
  slot: 1n,
  priority: 2,
  shouldReplace: false,
  mayShed: true,
  receivedAtMs: 0,
  deadlineAtMs: 750,
  fenceAtMs: 6400,
  minInputs: 1,
  steps: [],
  bytes: 1000,
  accepted: { deadlineMs: 750, fenceMs: 6400, deadlineSource: 1 },
};
const decode = () => {
  throw new Error("decoded");
};

let admission: Admission;
let metrics: Metrics;

beforeEach(() => {
  const clock = new VirtualClock();
  metrics = createMetrics();
  const schedules = new Schedules({}, { clock, metrics });
  const memory = new MemoryBudget(limits.heldBytesMax);
  const modules = { clock, log: createLog("silent"), metrics, schedules, memory };
  admission = new Admission({ instance: "00000000000000aa" }, modules);
  schedules.added({ deviceId: "cpu", send: () => undefined });
});

const skips = (reason: string) =>
  metricValue(metrics.registry, "lean_aggregator_server_skipped_total", { reason });

test("without a prover a snapshot is skipped and counted, and not decoded", async () => {
  expect(admission.submit(envelope, decode)).toMatchObject({ reason: "no_prover" });
  expect(await skips("no_prover")).toBe(1);
});

test("a service that drains skips for that, prover or not, and does not decode", async () => {
  await admission.drain(0);
  expect(admission.submit(envelope, decode)).toMatchObject({ reason: "draining" });
  expect(await skips("draining")).toBe(1);
  expect(await skips("no_prover")).toBe(0);
});

test("a skipped snapshot is decided again when its request is retried", () => {
  const first = admission.submit(envelope, decode);
  expect(admission.submit({ ...envelope, contentDigest: "bb" }, decode)).toEqual(first);
});
