/**
 * Adds the metrics of the service's own process: memory, CPU, descriptors, event loop and garbage
 * collection. prom-client measures them. They have the service's prefix too, because a node that
 * embeds the adapter may export the unprefixed names of its own process.
 */
import { collectDefaultMetrics } from "prom-client";
import type { Registry } from "prom-client";
import { PREFIX } from "./metric-table.js";

/** Gauges whose names end like a counter's; the same figures exist by type of handle. */
const MISNAMED = ["handles", "requests", "resources"].map(
  (what) => `${PREFIX}nodejs_active_${what}_total`,
);

/** Adds the metrics to the registry. Throws when it has one of the names already. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
