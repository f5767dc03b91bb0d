/** What an aggregator without the adapter counts, under the names that the adapter uses. */
import { Counter, Histogram, type Registry } from "prom-client";

const PROOF_SECONDS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30];

export type InProcessMetrics = ReturnType<typeof createInProcessMetrics>;

export function createInProcessMetrics(registry: Registry) {
  const registers = [registry];
  return {
    skips: new Counter({
      name: "lean_aggregator_skipped_total",
      help: "Snapshots that were not taken, by reason",
      labelNames: ["reason"] as const,
      registers,
    }),
    workerSeconds: new Histogram({
      name: "lean_aggregator_worker_duration_seconds",
      help: "From a snapshot to the end of its last group",
      buckets: PROOF_SECONDS,
      registers,
    }),
    proveSeconds: new Histogram({
      name: "lean_pq_sig_aggregated_signatures_building_time_seconds",
      help: "Time a proof took in the prover",
      buckets: PROOF_SECONDS,
      registers,
    }),
    fenced: new Counter({
      name: "lean_aggregator_fenced_results_total",
      help: "Proofs dropped because the fence of their session had passed",
      registers,
    }),
  };
}
