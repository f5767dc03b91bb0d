/** The adapter's metrics are those of PROTOCOL.md, and exist from the start. */
import { readFileSync } from "node:fs";
import { Registry } from "prom-client";
import { expect, it } from "vitest";
import { createAdapterMetrics } from "../../../client/adapter/metrics.js";
import { SKIP_REASONS } from "../../../client/index.js";

it("has the names that the protocol lists", async () => {
  const registry = new Registry();
  createAdapterMetrics(registry);
  const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
  const text = readFileSync(new URL("../../../client/PROTOCOL.md", import.meta.url), "utf8");
  const listed = [...text.matchAll(/^\| `(lean_[a-z_]+)/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(names.sort());
});

it("starts every label value at zero", async () => {
  const registry = new Registry();
  createAdapterMetrics(registry);
  const skips = await registry.getSingleMetric("lean_aggregator_skipped_total")?.get();
  expect(skips?.values.map(({ labels, value }) => [labels.reason, value])).toEqual(
    SKIP_REASONS.map((reason) => [reason, 0]),
  );
});
