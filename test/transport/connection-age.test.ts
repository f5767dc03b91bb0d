/** An adapter whose connection gets GOAWAY, and is then cut, while its proof is on the way. */
import { expect, test, vi } from "vitest";
import { TickAggregator } from "../../client/adapter/tick-aggregator.js";
import type * as Limits from "../../server/limits.js";
import { Gate, inventedGroup } from "../../tools/harness/wire/contract.js";
import { metricValue } from "../helpers/metric-value.js";
import { startTestService } from "../helpers/start-service.js";
import { snapshot } from "../../tools/harness/vectors.js";

vi.mock("../../server/limits.js", async (original) => {
  const real = await original<typeof Limits>();
  const short = { pingEveryMs: 50, connectionAgeMs: 200, connectionGraceMs: 50 };
  return { ...real, limits: { ...real.limits, ...short } };
});

test("resumes on a new one, and has every result once", async () => {
  const gate = new Gate();
  gate.shut();
  const service = await startTestService(gate.startProver);
  const aggregator = new TickAggregator({
    endpoints: service.addresses,
    nodeId: "node-1",
    timeToFence: () => 60_000,
    deadlineMs: 60_000,
  });
  const gates = { isAggregator: true, hasState: true };
  const submit = () => aggregator.submitOrSkip(100, gates, () => snapshot(100, [inventedGroup(0)]));
  await expect.poll(submit).toMatchObject({ submitted: true });

  const { registry } = service.metrics;
  const cut = { listener: "nodes", cause: "age" };
  const cuts = () => metricValue(registry, "lean_aggregator_server_connections_cut_total", cut);
  await expect.poll(cuts, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
  gate.open();
  const results: string[] = [];
  const take = () => {
    results.push(...aggregator.takeResults(100).map(({ kind }) => kind));
    return results;
  };
  await expect.poll(take, { timeout: 10_000 }).toEqual(["outcome"]);
  const seen = (await cuts()) ?? 0;
  await expect.poll(cuts, { timeout: 10_000 }).toBeGreaterThan(seen + 1);
  expect(take()).toEqual(["outcome"]);
  await aggregator.close({ drainMs: 0 });
  await service.close();
});
