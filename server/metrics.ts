/** The service's metrics, on a registry of its own; every label value exists from the start at 0. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { deniedReasons } from "./access/policy.js";
import { quotaNames } from "./access/quota.js";

const PROOF_SECONDS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 10, 15, 20, 30];
/** A proof verifies in 20 to 100 ms; at 2 s its prover is taken for hung. */
const VERIFY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];
/** Finest around 1, where dispatch has a few percent to spare. */
const COST_RATIOS = [0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.4, 2, 4];

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

/** What ends a prover process: itself, the kernel, the service on purpose, or the operator. */
const restartCauses = [
  "died",
  "start_failed",
  "refused",
  "killed_for_memory",
  "wedged",
  "memory",
  "fence",
  "cancelled",
  "preempted",
  "draining",
  "restart",
] as const;

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const metrics = {
    registry,
    proveSeconds: new Histogram({
      name: "lean_pq_sig_aggregated_signatures_building_time_seconds",
      help: "Time a proof took in the prover",
      buckets: PROOF_SECONDS,
      registers,
    }),
    verifySeconds: new Histogram({
      name: "lean_pq_sig_aggregated_signatures_verification_time_seconds",
      help: "Time a proof took to verify: a child, a proof just made, or one that a node asks about",
      buckets: VERIFY_SECONDS,
      registers,
    }),
    validProofs: new Counter({
      name: "lean_pq_sig_aggregated_signatures_valid_total",
      help: "Proofs that verified",
      registers,
    }),
    invalidProofs: new Counter({
      name: "lean_pq_sig_aggregated_signatures_invalid_total",
      help: "Proofs that did not verify against exactly the keys expected",
      registers,
    }),
    validSignatures: new Counter({
      name: "lean_pq_sig_attestation_signatures_valid_total",
      help: "Raw signatures that verified",
      registers,
    }),
    invalidSignatures: new Counter({
      name: "lean_pq_sig_attestation_signatures_invalid_total",
      help: "Raw signatures rejected: bad, or of another slot's leaf",
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
    denied: new Counter({
      name: "lean_aggregator_denied_total",
      help: "Calls of callers unknown, or not allowed to do what they asked, by reason",
      labelNames: ["reason"] as const,
      registers,
    }),
    overQuota: new Counter({
      name: "lean_aggregator_over_quota_total",
      help: "Snapshots skipped, and calls and streams refused, for their principal's quota",
      labelNames: ["quota"] as const,
      registers,
    }),
    policyReloadSuccessful: new Gauge({
      name: "lean_aggregator_policy_last_reload_successful",
      help: "0 while the policy file cannot be used and an older one is in force, else 1",
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
      help: "Groups whose proof was still running at their fence, and was killed",
      registers,
    }),
    deadlines: new Counter({
      name: "lean_aggregator_deadline_total",
      help: "Groups proved by their deadline (hit), or late or not at all for want of time (miss)",
      labelNames: ["result"] as const,
      registers,
    }),
    proverRestarts: new Counter({
      name: "lean_aggregator_prover_restarts_total",
      help: "Prover processes that ended or did not start, by cause",
      labelNames: ["cause"] as const,
      registers,
    }),
    proverReady: new Gauge({
      name: "lean_aggregator_prover_ready",
      help: "1 while the prover of this role is set up, else 0",
      labelNames: ["device", "role"] as const,
      registers,
    }),
    proverResidentBytes: new Gauge({
      name: "lean_aggregator_prover_resident_bytes",
      help: "Resident memory of the prover of this role, as it last reported it",
      labelNames: ["device", "role"] as const,
      registers,
    }),
    deviceDrained: new Gauge({
      name: "lean_aggregator_device_drained",
      help: "1 while the operator keeps new work from the device, else 0",
      labelNames: ["device"] as const,
      registers,
    }),
    proofs: new Counter({
      name: "lean_aggregator_proofs_total",
      help: "Proofs made; disturbed ones ran beside a prover's setup and teach no cost",
      labelNames: ["disturbed"] as const,
      registers,
    }),
    costModelRatio: new Histogram({
      name: "lean_aggregator_cost_model_ratio",
      help: "Time of an undisturbed proof over the time that was predicted for its shape",
      labelNames: ["device"] as const,
      buckets: COST_RATIOS,
      registers,
    }),
    lostAttempts: new Counter({
      name: "lean_aggregator_lost_attempts_total",
      help: "Attempts of which the lane never told the end",
      registers,
    }),
    retries: new Counter({
      name: "lean_aggregator_retries_total",
      help: "Groups tried again after their prover died",
      registers,
    }),
    preemptions: new Counter({
      name: "lean_aggregator_preemptions_total",
      help: "Backlog proofs killed for a higher class that would have missed",
      registers,
    }),
    sharedGroups: new Counter({
      name: "lean_aggregator_shared_groups_total",
      help: "Groups that joined the proof of identical work instead of one of their own",
      registers,
    }),
    sessionsInFlight: new Gauge({
      name: "lean_aggregator_sessions_in_flight",
      help: "Accepted sessions without a summary yet",
      registers,
    }),
    unreadRefusals: new Counter({
      name: "lean_aggregator_unread_refusals_total",
      help: "Calls refused as RESOURCE_EXHAUSTED before they were read: no memory left for them",
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
  for (const cause of restartCauses) metrics.proverRestarts.inc({ cause }, 0);
  for (const result of ["hit", "miss"]) metrics.deadlines.inc({ result }, 0);
  for (const reason of deniedReasons) metrics.denied.inc({ reason }, 0);
  for (const quota of quotaNames) metrics.overQuota.inc({ quota }, 0);
  metrics.policyReloadSuccessful.set(1);
  for (const disturbed of ["true", "false"]) metrics.proofs.inc({ disturbed }, 0);
  return metrics;
}
