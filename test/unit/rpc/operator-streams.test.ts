/** The operator's stream of activity is no stream of results. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { StreamActivityRequestSchema } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { Access } from "../../../server/access/access.js";
import { parsePolicy } from "../../../server/access/policy-file.js";
import { ActivityFeed } from "../../../server/activity.js";
import { createLog } from "../../../server/log/log.js";
import { AdminHandlers } from "../../../server/rpc/operator-handlers.js";
import { ServiceStatus } from "../../../server/rpc/service-status.js";
import { metricValue } from "../../helpers/metric-value.js";
import { TestScheduler } from "../../helpers/scheduler.js";

test("streams of activity count neither as open streams nor for the quota of streams", async () => {
  const { admission, schedules, clock, metrics } = new TestScheduler(["a"]);
  const log = createLog("silent");
  const all = { anonymous: true, nodes: ["*"], calls: ["StreamResults"], operatorCalls: ["*"] };
  const principals = [{ name: "all", ...all, quota: { streams: 1 } }];
  const access = new Access(parsePolicy(JSON.stringify({ principals })), { clock, log, metrics });
  const handlers = new AdminHandlers(
    { instance: "00000000000000aa", serviceId: "s", version: "v" },
    {
      ...{ admission, schedules, clock, log, access, cores: new Map() },
      status: new ServiceStatus({ admission, schedules }),
      activity: new ActivityFeed(16),
      fleet: () => Promise.resolve(undefined),
    },
  );
  const credential = { kind: "loopback" } as const;
  const never = new AbortController().signal;
  const call = { principal: "all", credential, signal: never, draining: never };
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
