/**
 * Adds the metrics of the service's own process: memory, CPU, descriptors, event loop and garbage
 * collection. prom-client measures them. They have the service's prefix too, because a node that
 * embeds the adapter may export the unprefixed names of its own process.
 */
import { collectDefaultMetrics } from "prom-client";
import type { Registry } from "prom-client";
import { PREFIX } from "./metric-table.js";

/**
 * Left out: gauges whose names end like a counter's, and handles and requests, which
 * `nodejs_active_resources` contains.
 */
const LEFT_OUT = [
  "nodejs_active_handles",
  "nodejs_active_handles_total",
  "nodejs_active_requests",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
];

/** Adds the metrics to the registry. Throws when it has one of the names already. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, prefix: PREFIX });
  for (const name of LEFT_OUT) registry.removeSingleMetric(`${PREFIX}${name}`);
}
