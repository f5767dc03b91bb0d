/**
 * Every metric of the service has its prefix, a unit or `_total` at its end, and its series at once;
 * none has the name of a node's.
 */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { createTransportMetrics } from "../../../server/net/metrics.js";
import { nodeRegistry, serviceRegistry } from "../../../tools/metrics/exported.js";

const exported = await serviceRegistry().getMetricsAsJSON();

test.each(exported)("$name has the prefix, and ends with _total if it counts", (metric) => {
  expect(metric.name).toMatch(/^lean_aggregator_server_[a-z0-9_]+$/);
  expect(metric.name.endsWith("_total")).toBe(String(metric.type) === "counter");
  // OpenMetrics escapes quotes in help texts, the older format does not: there are none.
  expect(metric.help).not.toMatch(/["\n\\]/);
});

test("a node with the adapter and the service share no name", async () => {
  const ofNode = (await nodeRegistry().getMetricsAsJSON()).map(({ name }) => name);
  expect(ofNode).toContain("lean_aggregator_skipped_total");
  expect(exported.map(({ name }) => name).filter((name) => ofNode.includes(name))).toEqual([]);
});

const { registry } = createMetrics(["cpu", "gpu0"]);
createTransportMetrics(registry);
const metrics = await registry.getMetricsAsJSON();
/** They have no series before there is a certificate, a build, a node, a prover and an upgrade. */
const later = /certificate_expiry|build_info|node_snapshots|device_info|server_upgrade$/;

test.each(metrics.filter(({ name }) => !later.test(name)))(
  "$name exists from the start",
  ({ values }) => {
    expect(values.length).toBeGreaterThan(0);
  },
);

test("no label has a name that Prometheus gives each series itself", async () => {
  const text = `${await serviceRegistry().metrics()}${await nodeRegistry().metrics()}`;
  expect(text).toContain('{kind="leaf",result="proved"}');
  expect(text).not.toMatch(/[{,](job|instance)="/);
});

test("every combination of label values exists from the start, devices included", async () => {
  const text = await registry.metrics();
  for (const device of ["cpu", "gpu0"])
    for (const role of ["active", "standby"])
      expect(text).toContain(`_prover_ready{device="${device}",role="${role}"} 0\n`);
  expect(text).toContain('_connections_cut_total{listener="probes",cause="settings"} 0\n');
  expect(text).toContain('_calls_total{method="SubmitSnapshot",code="internal"} 0\n');
  expect(text).toContain('_cost_model_ratio_count{device="gpu0"} 0\n');
  expect(text).toContain('_device_seconds_total{device="gpu0",state="idle"} 0\n');
  expect(text).toContain("_policy_last_reload_successful 1\n");
  expect(text).not.toContain("certificate_expiry_timestamp_seconds{");
});

test("with every device and node that may have a label, a scrape is 150 KB at most", async () => {
  const devices = Array.from({ length: limits.devicesMax }, (_, at) => `device-number-${at}`);
  const full = createMetrics(devices);
  createTransportMetrics(full.registry);
  for (let at = 0; at < limits.nodeLabelsMax; at++) {
    const node = `${at}`.padEnd(limits.idLengthMax, "x");
    full.nodeSnapshots.inc({ node, result: "accepted" });
    full.nodeSnapshots.inc({ node, result: "skipped" });
  }
  expect((await full.registry.metrics()).length).toBeLessThan(150_000);
});

test("histograms of proofs and sessions reach the longest fence, also the adapter's", async () => {
  const longest = 128;
  expect(longest).toBeGreaterThanOrEqual(Math.max(limits.deadlineMsMax, limits.fenceMsMax) / 1000);
  const text = `${await serviceRegistry().metrics()}${await nodeRegistry().metrics()}`;
  const ofProofs = ["proof_seconds", "session_seconds", "queue_seconds"];
  const names = ofProofs.map((name) => `lean_aggregator_server_${name}`);
  for (const name of [...names, "lean_aggregator_worker_duration_seconds"])
    expect(text).toContain(`${name}_bucket{le="${longest}"} 0\n`);
});
