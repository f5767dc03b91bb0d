/** What a snapshot is answered before the first prover is up: skipped, with the cause, and counted. */
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import {
  SkipReason,
  SubmitSnapshotRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Access } from "../../../server/access/access.js";
import { Admission } from "../../../server/admission/admission.js";
import { systemClock as clock } from "../../../server/clock.js";
import { limits } from "../../../server/limits.js";
import { createLog } from "../../../server/log/log.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { peerAt } from "../../../server/net/peer.js";
import { Handlers } from "../../../server/rpc/handlers.js";
import { ServiceStatus } from "../../../server/rpc/service-status.js";
import { Schedules } from "../../../server/schedule/schedules.js";
import { clientOver, Gate, inventedGroup, nodeFor } from "../../../tools/harness/wire/contract.js";
import { snapshot } from "../../../tools/harness/vectors.js";
import { metricValue } from "../../helpers/metric-value.js";
import { listenTestService } from "../../helpers/start-service.js";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const neverReady = () =>
  Object.assign(new Gate().startProver(), { ready: new Promise<never>(() => undefined) });

const request = {
  node: nodeFor("no-prover", "node"),
  snapshot: snapshot(100, [inventedGroup(0)]),
};

test("a snapshot is skipped as no_prover, with the device's state, and counted", async () => {
  const service = await listenTestService(neverReady);
  closers.push(() => service.close());
  const client = clientOver(service, "gRPC");
  const { result } = await client.submitSnapshot(request);
  expect(result).toMatchObject({
    case: "skipped",
    value: { reason: SkipReason.NO_PROVER, detail: "device cpu is starting" },
  });
  const skips = await metricValue(
    service.metrics.registry,
    "lean_aggregator_server_skipped_total",
    {
      reason: "no_prover",
    },
  );
  expect(skips).toBe(1);
});

test("a service that drains says draining, not no_prover", async () => {
  const log = createLog("silent");
  const metrics = createMetrics();
  // A lane of which nothing is heard.
  const schedules = new Schedules({}, { clock, metrics });
  schedules.added({ deviceId: "cpu", send: () => undefined });
  closers.push(() => schedules.close());
  const memory = new MemoryBudget(limits.heldBytesMax);
  const instance = "00000000000000aa";
  const admission = new Admission({ instance }, { clock, log, metrics, schedules, memory });
  const access = new Access(undefined, { clock, log, metrics });
  const status = new ServiceStatus({ admission, schedules });
  const handlers = new Handlers(
    { instance, serviceId: "test", version: "test", deadlineMs: 750, fenceMs: 6400 },
    { admission, status, schedules, clock, access, verifier: () => undefined },
  );
  await admission.drain(0);
  const never = new AbortController().signal;
  const { result } = handlers.submitSnapshot(create(SubmitSnapshotRequestSchema, request), {
    receivedAtMs: clock.nowMs(),
    callDeadlineMs: undefined,
    signal: never,
    peer: peerAt("127.0.0.1:0", false),
    credential: { kind: "loopback" },
    principal: "",
    holdAnswer: () => undefined,
    draining: never,
  });
  expect(result).toMatchObject({ case: "skipped", value: { reason: SkipReason.DRAINING } });
});
