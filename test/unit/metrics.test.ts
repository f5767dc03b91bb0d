/** Every metric has the service's prefix, a unit or `_total` at its end, and its series at once. */
import { expect, test } from "vitest";
import { createMetrics } from "../../server/metrics.js";
import { createTransportMetrics } from "../../server/net/metrics.js";

const { registry } = createMetrics(["cpu", "gpu0"]);
createTransportMetrics(registry);
const metrics = await registry.getMetricsAsJSON();

test.each(metrics)(
  "$name has the service's prefix, and ends with _total if it counts",
  (metric) => {
    expect(metric.name).toMatch(/^lean_aggregator_server_[a-z_]+$/);
    expect(metric.name.endsWith("_total")).toBe(String(metric.type) === "counter");
  },
);

test.each(metrics.filter(({ name }) => !name.includes("certificate_expiry")))(
  "$name exists from the start",
  ({ values }) => {
    expect(values.length).toBeGreaterThan(0);
  },
);

test("every combination of label values exists from the start, devices included", async () => {
  const text = await registry.metrics();
  for (const device of ["cpu", "gpu0"])
    for (const role of ["active", "standby"])
      expect(text).toContain(`_prover_ready{device="${device}",role="${role}"} 0\n`);
  expect(text).toContain('_connections_cut_total{listener="probes",cause="settings"} 0\n');
  expect(text).toContain('_cost_model_ratio_count{device="gpu0"} 0\n');
  expect(text).toContain("_policy_last_reload_successful 1\n");
  expect(text).not.toContain("certificate_expiry_timestamp_seconds{");
});
