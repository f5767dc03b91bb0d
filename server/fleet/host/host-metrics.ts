/** The metrics of a lane host: of the engine, of the doors that it hears, and of their attempts. */
import type { Registry } from "prom-client";
import { createFromTable } from "../../metrics/metric-table.js";
import type { MetricTable } from "../../metrics/metric-table.js";

const table = {
  engineUp: {
    kind: "gauge",
    name: "lane_host_engine_up",
    help: "1 while the lane host is connected to the engine, else 0",
  },
  doors: {
    kind: "gauge",
    name: "lane_host_doors",
    help: "Services that the lane host has heard within a minute",
  },
  assigned: {
    kind: "counter",
    name: "lane_host_assigned_total",
    help: "Attempts of services that took a lane",
  },
  ended: {
    kind: "counter",
    name: "lane_host_ended_total",
    help: "Results sent to services, by result: one for each service that waited",
    labels: {
      result: ["proved", "nothing_to_prove", "rejected", "too_few_inputs", "not_started", "failed"],
    },
  },
  coreSeconds: {
    kind: "counter",
    name: "lane_host_core_seconds_total",
    help: "Time that attempts of services had lanes, times the cores of the lane",
  },
  ignored: {
    kind: "counter",
    name: "lane_host_ignored_total",
    help: "Messages of services without effect, by cause; a few are normal, as messages may be late",
    labels: { cause: ["stale", "taken", "repeated", "unknown", "full"] },
  },
  faults: {
    kind: "counter",
    name: "lane_host_faults_total",
    help: "What services did that no correct service does: sent garbage, or too many messages",
    labels: { fault: ["garbage", "flood", "version"] },
  },
  fetchedBytes: {
    kind: "counter",
    name: "lane_host_fetched_bytes_total",
    help: "Bytes of work that the lane host received of services",
  },
  fetchFailures: {
    kind: "counter",
    name: "lane_host_fetch_failures_total",
    help: "Attempts that ended because their work did not come, by cause",
    labels: { cause: ["gone", "late", "wrong", "stopped", "garbage"] },
  },
  verified: {
    kind: "counter",
    name: "lane_host_verified_total",
    help: "Proofs of other lane hosts that services had verified here, by verdict",
    labels: { verdict: ["valid", "invalid", "unable"] },
  },
} as const satisfies MetricTable;

export type HostMetrics = ReturnType<typeof createHostMetrics>;

export function createHostMetrics(registry: Registry) {
  return createFromTable(registry, table);
}
