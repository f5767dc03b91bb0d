/** The operator's calls that stay open: they end with their caller's permission, and stream no results. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  DrainDeviceRequestSchema,
  StreamActivityRequestSchema,
} from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { Access } from "../../../server/access/access.js";
import { parsePolicy } from "../../../server/access/policy-file.js";
import { ActivityFeed } from "../../../server/activity.js";
import { createLog } from "../../../server/log/log.js";
import { AdminHandlers } from "../../../server/rpc/operator-handlers.js";
import { ServiceStatus } from "../../../server/rpc/service-status.js";
import { metricValue } from "../../helpers/metric-value.js";
import { TestScheduler } from "../../helpers/scheduler.js";

const credential = { kind: "loopback" } as const;

function policyOf(operatorCalls: readonly string[]) {
  const all = { anonymous: true, nodes: ["*"], calls: ["StreamResults"], operatorCalls };
  const principals = [{ name: "all", ...all, quota: { streams: 1 } }];
  return parsePolicy(JSON.stringify({ principals }));
}

/** The operator's handlers over one lane, which proves. */
function operator() {
  const scheduler = new TestScheduler(["a"]);
  const { admission, schedules, clock, metrics } = scheduler;
  const log = createLog("silent");
  const access = new Access(policyOf(["*"]), { clock, log, metrics });
  const handlers = new AdminHandlers(
    { instance: "00000000000000aa", serviceId: "s", version: "v" },
    {
      ...{ admission, schedules, clock, log, access, cores: new Map() },
      status: new ServiceStatus({ admission, schedules }),
      activity: new ActivityFeed(16),
      fleet: () => Promise.resolve(undefined),
    },
  );
  const never = new AbortController().signal;
  const call = { principal: "all", credential, signal: never, draining: never };
  return { scheduler, access, handlers, call };
}

test("streams of activity count neither as open streams nor for the quota of streams", async () => {
  const { scheduler, access, handlers, call } = operator();
  const { metrics } = scheduler;
  const open = () => handlers.streamActivity(create(StreamActivityRequestSchema), call);
  const activity = [open(), open()];
  for (const each of activity) expect(await each.next()).toMatchObject({ done: false });
  const streamsOpen = () => metricValue(metrics.registry, "lean_aggregator_server_streams_open");
  expect(await streamsOpen()).toBe(0);
  const results = access.openStream(credential, { call: "StreamResults", nodeId: "node-1" });
  expect(await streamsOpen()).toBe(1);
  results.close();
  for (const each of activity) await each.return(undefined);
});

test("waiting for a drained device ends with the caller's permission", async () => {
  const { scheduler, access, handlers, call } = operator();
  const proving = { phase: { kind: "proving", attempt: null, proof: null } } as const;
  scheduler.announce("a", 1, proving);
  const request = create(DrainDeviceRequestSchema, { deviceId: "a", waitMs: 60_000 });
  const drained = handlers.drainDevice(request, call);
  const refused = expect(drained).rejects.toMatchObject({ kind: "permission_denied" });
  const [command] = scheduler.sentOf("command");
  scheduler.announce("a", 1, { ...proving, isDrained: true, commandsDone: command?.number ?? 0 });
  await Promise.resolve();
  access.replace(policyOf([]));
  await refused;
});
