/**
 * The adapter's metrics, registered on the node's own registry under the names that the clients
 * share. One adapter for each registry: a second one would throw on the names.
 */
import { Counter, Histogram, type Registry } from "prom-client";
import { SKIP_REASONS } from "./events.js";

export interface AdapterMetrics {
  skips: Counter<"reason">;
  workerSeconds: Histogram;
  submitSeconds: Histogram;
  lateResults: Counter;
  fencedResults: Counter;
  lostGroups: Counter;
  droppedResults: Counter;
}

/** Registers everything, each skip reason at zero. */
export function createAdapterMetrics(registry: Registry): AdapterMetrics {
  const registers = [registry];
  const skips = new Counter({
    name: "lean_aggregator_skip_total",
    help: "Snapshots that were not taken, or that the service skipped, by reason",
    labelNames: ["reason"] as const,
    registers,
  });
  for (const reason of SKIP_REASONS) skips.inc({ reason }, 0);
  return {
    skips,
    workerSeconds: new Histogram({
      name: "lean_aggregator_worker_duration_seconds",
      help: "From the service's receipt of a snapshot to the end of its last group",
      buckets: [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30],
      registers,
    }),
    submitSeconds: new Histogram({
      name: "lean_aggregator_submit_duration_seconds",
      help: "Time taken from the node's tick by one submission, the making of the snapshot included",
      buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1],
      registers,
    }),
    lateResults: new Counter({
      name: "lean_aggregator_late_results_total",
      help: "Proofs made after the deadline of their session",
      registers,
    }),
    fencedResults: new Counter({
      name: "lean_aggregator_fenced_results_total",
      help: "Proofs dropped because the fence of their session had passed",
      registers,
    }),
    lostGroups: new Counter({
      name: "lean_aggregator_lost_groups_total",
      help: "Accepted groups of which the service never told the end",
      registers,
    }),
    droppedResults: new Counter({
      name: "lean_aggregator_dropped_results_total",
      help: "Results that the node did not take and that made room for newer ones",
      registers,
    }),
  };
}
