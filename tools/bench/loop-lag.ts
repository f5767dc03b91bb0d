/**
 * Measures how late the server's event loop is, by the server's own figures on /metrics: idle,
 * while it proves, and while it proves and receives a 1 MB snapshot five times a second.
 */
import { setTimeout as pause } from "node:timers/promises";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { unprovableSnapshot } from "./inputs.js";
import type { Measurement } from "./measurement.js";
import { whileProving } from "./proof-load.js";
import { withService } from "./with-service.js";
import type { BenchService } from "./with-service.js";

const WATCH_MS = 10_000;
const SUBMIT_EVERY_MS = 200;
/** Period of prom-client's timer. Its lag is the time between two firings, the period included. */
const RESOLUTION_MS = 10;
const NODE = { nodeId: "lag", nodeEpoch: 1n };

export const loopLag: Measurement = {
  name: "lag",
  seconds: () => 45,
  run: (_options, progress) =>
    withService(async (service) => {
      const rows = [{ state: "idle", ...(await lagDuring(service, pause(WATCH_MS))) }];
      progress("idle done");
      await whileProving(service.address, async () => {
        rows.push({ state: "proving", ...(await lagDuring(service, pause(WATCH_MS))) });
        progress("proving done");
        const submitting = submitForAWhile(service.address);
        rows.push({ state: "proving, 5 MB/s in", ...(await lagDuring(service, submitting)) });
      });
      const notes = [`Sampled every ${RESOLUTION_MS} ms, which is taken off.`];
      return { title: "lag of the server's event loop", rows, goals: [], notes };
    }),
};

async function lagDuring(service: BenchService, meanwhile: Promise<unknown>) {
  await service.metrics();
  await meanwhile;
  const metrics = await service.metrics();
  const lagMs = (which: string) => {
    const name = `lean_aggregator_server_nodejs_eventloop_lag_${which}_seconds`;
    return Math.max(0, (metrics.get(name) ?? NaN) * 1000 - RESOLUTION_MS);
  };
  return { lagP50Ms: lagMs("p50"), lagP99Ms: lagMs("p99"), lagMaxMs: lagMs("max") };
}

async function submitForAWhile(address: string): Promise<void> {
  const client = new AggregatorClient({ address });
  const snapshot = unprovableSnapshot(1_000_000);
  const budgets = { deadlineMs: 60_000, fenceMs: 120_000 };
  const request = { node: NODE, snapshot, priority: Priority.BACKLOG, ...budgets };
  const untilMs = performance.now() + WATCH_MS;
  while (performance.now() < untilMs) {
    const { result } = await client.submitSnapshot(request);
    if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
    await client.cancelSession({ node: NODE, requestId: result.value.requestId });
    await pause(SUBMIT_EVERY_MS);
  }
  client.close();
}
