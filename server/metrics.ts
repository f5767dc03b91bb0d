/** The service's metrics, on a registry of its own; every label value exists from the start at 0. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

const PROOF_SECONDS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30];

export const skipReasons = [
  "in_flight",
  "predicted_miss",
  "draining",
  "overloaded",
  "no_prover",
] as const;
export type SkipReason = (typeof skipReasons)[number];

const statuses = [
  "proved",
  "proved_late",
  "nothing_to_prove",
  "rejected",
  "not_started",
  "stopped",
  "failed",
] as const;
export type OutcomeStatusName = (typeof statuses)[number];

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const metrics = {
    registry,
    proveSeconds: new Histogram({
      name: "lean_pq_sig_aggregated_signatures_building_time_seconds",
      help: "Time a proof took in the prover",
      buckets: PROOF_SECONDS,
      registers,
    }),
    sessionSeconds: new Histogram({
      name: "lean_aggregator_worker_duration_seconds",
      help: "From acceptance of a snapshot to its session's last outcome",
      buckets: PROOF_SECONDS,
      registers,
    }),
    queueSeconds: new Histogram({
      name: "lean_aggregator_queue_seconds",
      help: "From acceptance to the start of a group",
      buckets: PROOF_SECONDS,
      registers,
    }),
    skips: new Counter({
      name: "lean_aggregator_skip_total",
      help: "Snapshots skipped, by reason",
      labelNames: ["reason"] as const,
      registers,
    }),
    outcomes: new Counter({
      name: "lean_aggregator_outcomes_total",
      help: "Groups ended, by status",
      labelNames: ["status"] as const,
      registers,
    }),
    fenced: new Counter({
      name: "lean_aggregator_fenced_total",
      help: "Results that came after their fence and were dropped",
      registers,
    }),
    proverRestarts: new Counter({
      name: "lean_aggregator_prover_restarts_total",
      help: "Provers that ended or did not start, by cause",
      labelNames: ["cause"] as const,
      registers,
    }),
    sessionsInFlight: new Gauge({
      name: "lean_aggregator_sessions_in_flight",
      help: "Accepted sessions without a summary yet",
      registers,
    }),
    heldBytes: new Gauge({
      name: "lean_aggregator_held_bytes",
      help: "Memory reserved for requests, of the budget that refuses what does not fit",
      registers,
    }),
  };
  for (const reason of skipReasons) metrics.skips.inc({ reason }, 0);
  for (const status of statuses) metrics.outcomes.inc({ status }, 0);
  for (const cause of ["died", "start_failed"]) metrics.proverRestarts.inc({ cause }, 0);
  return metrics;
}
