/**
 * The service's metrics, in a registry of the service's own; `net/metrics.ts` adds the metrics of
 * connections and certificates. Label values are closed lists, most of them in `reasons.ts`.
 */
import { Registry } from "prom-client";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { mergeForms } from "../../proto/merge-form.js";
import { deviceDuties, deviceMetrics, laneRoles } from "./device-metrics.js";
import { AT_RUN_TIME, createFromTable } from "./metric-table.js";
import type { MetricTable } from "./metric-table.js";
import {
  callCodes,
  deniedReasons,
  groupReasons,
  noMemoryCauses,
  outcomeStatuses,
  quotaNames,
  refreshResults,
  skipReasons,
  voteFates,
} from "../reasons.js";
import { upgradeMetrics } from "./upgrade-metrics.js";
import { slotSteps, voteSeries, voteSteps } from "./vote-labels.js";

/** Beyond the longest deadline and fence, 120 s: backlog may wait that long. */
const PROOF_SECONDS = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];
/** A proof verifies in 20 to 100 ms; after 2 s its prover is treated as hung. */
const VERIFY_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];

/** A submission takes about 1 ms; a call may wait for 60 s. */
const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1, 4, 16, 64];
const services = [AggregatorService, AdminService];
/** The methods of both services by name; `other`: health, reflection, and what is not served. */
const callMethods = [...services.flatMap((each) => each.methods.map(({ name }) => name)), "other"];
const unaryMethods = services.flatMap((each) =>
  each.methods.filter(({ methodKind }) => methodKind === "unary").map(({ name }) => name),
);

const service = {
  buildInfo: {
    kind: "gauge",
    name: "build_info",
    help: "1, with the service's version, the commit that 'make build' found (else 'unknown'), and Node.js's version",
    labels: { version: AT_RUN_TIME, revision: AT_RUN_TIME, nodejs: AT_RUN_TIME },
  },
  ready: {
    kind: "gauge",
    name: "ready",
    help: "1 while the service accepts snapshots, as /readyz says, else 0",
  },
  draining: {
    kind: "gauge",
    name: "draining",
    help: "1 while the service shuts down, else 0",
  },
  unixTime: {
    kind: "gauge",
    name: "unix_time_seconds",
    help: "The service's clock at the scrape: compare it with the time of the scrape",
  },
} as const satisfies MetricTable;

const sessions = {
  accepted: {
    kind: "counter",
    name: "accepted_total",
    help: "Snapshots accepted, each as one session",
  },
  nodeSnapshots: {
    kind: "counter",
    name: "node_snapshots_total",
    help: "Snapshots accepted and skipped, by node; beyond 64 nodes the rest is `(other)`",
    labels: { node: AT_RUN_TIME, result: ["accepted", "skipped"] },
  },
  streamsOpen: {
    kind: "gauge",
    name: "streams_open",
    help: "Open streams of results; a node with the adapter has one",
  },
  skips: {
    kind: "counter",
    name: "skipped_total",
    help: "Snapshots skipped, by reason",
    labels: { reason: skipReasons },
  },
  sessionsInFlight: {
    kind: "gauge",
    name: "sessions_in_flight",
    help: "Accepted sessions without a summary yet",
  },
  sessionSeconds: {
    kind: "histogram",
    name: "session_seconds",
    help: "From receipt of a snapshot to its session's last outcome",
    buckets: PROOF_SECONDS,
  },
  outcomes: {
    kind: "counter",
    name: "outcomes_total",
    help: "Groups ended, by status",
    labels: { status: outcomeStatuses },
  },
  votes: {
    kind: "counter",
    name: "votes_total",
    help: "Votes of the aggregates that ended, each once: by fate, by the reason of the group if it was not started, stopped or failed, and by the step of the request in which the proof was ready",
    labels: { fate: voteFates, reason: ["", ...groupReasons], step: ["", ...voteSteps] },
    series: voteSeries(),
  },
  merges: {
    kind: "counter",
    name: "merges_total",
    help: "Merges ended, by form (`block`: the proposer's signature is inside; `body`: it is not) and status",
    labels: { form: mergeForms, status: outcomeStatuses },
  },
  mergeSeconds: {
    kind: "histogram",
    name: "merge_seconds",
    help: "From receipt of a snapshot to the proof of a merge in it, by form",
    labels: { form: mergeForms },
    buckets: PROOF_SECONDS,
  },
  slots: {
    kind: "counter",
    name: "slots_total",
    help: "Slots for which a node asked for an aggregate, each once at its fence: by the step of its request in which the first proof was ready; `late`: between the last step and the fence, `never`: not at all. Merges, and requests without a step before the fence, are not counted",
    labels: { ready: slotSteps },
  },
  coreSeconds: {
    kind: "counter",
    name: "core_seconds_total",
    help: "Prover time of the sessions that ended: of each attempt, shared by those that waited for it, times the lane's cores; a lane elsewhere counts as one core",
  },
  fenced: {
    kind: "counter",
    name: "fenced_total",
    help: "Groups whose proof was still running at their fence and was killed",
  },
} as const satisfies MetricTable;

const schedule = {
  groupsWaiting: {
    kind: "gauge",
    name: "groups_waiting",
    help: "Groups that wait for a prover, of all sessions",
  },
  queueSeconds: {
    kind: "histogram",
    name: "queue_seconds",
    help: "From receipt of a snapshot to the first start of a group",
    buckets: PROOF_SECONDS,
  },
  retries: {
    kind: "counter",
    name: "retries_total",
    help: "Groups started again after their prover died",
  },
  preemptions: {
    kind: "counter",
    name: "preemptions_total",
    help: "Backlog proofs killed for a group of a higher priority that would have lost worth, or missed",
  },
  treeJobs: {
    kind: "counter",
    name: "tree_jobs_total",
    help: "Jobs of trees, by which groups over the limits of one proof are proved, by how they ended",
    labels: {
      kind: ["leaf", "fold"],
      result: ["proved", "bad_inputs", "failed", "missed", "stopped", "lost"],
    },
  },
  sharedGroups: {
    kind: "counter",
    name: "shared_groups_total",
    help: "Groups that shared the proof of identical work instead of starting their own",
  },
  lostAttempts: {
    kind: "counter",
    name: "lost_attempts_total",
    help: "Attempts whose end the lane never reported",
  },
  fleetTaken: {
    kind: "counter",
    name: "fleet_taken_total",
    help: "Attempts whose lane another service had taken first; their groups wait again",
  },
  fleetAdopted: {
    kind: "counter",
    name: "fleet_adopted_total",
    help: "Proofs of another service that were joined for groups that waited for the same work",
  },
} as const satisfies MetricTable;

const proofs = {
  proofs: {
    kind: "counter",
    name: "proofs_total",
    help: "Proofs made; disturbed ones teach no cost: a prover was set up or the service stood still",
    labels: { disturbed: ["true", "false"] },
  },
  proveSeconds: {
    kind: "histogram",
    name: "proof_seconds",
    help: "Time of one proof in the prover",
    buckets: PROOF_SECONDS,
  },
  refreshes: {
    kind: "counter",
    name: "refreshes_total",
    help: "Small proofs of idle devices to refresh learned costs; `stopped`: for work that came",
    labels: { result: refreshResults },
  },
  refreshSeconds: {
    kind: "counter",
    name: "refresh_seconds_total",
    help: "Time of all those proofs",
  },
  verifySeconds: {
    kind: "histogram",
    name: "verification_seconds",
    help: "Time to verify one proof: a child, a new proof, or one of a VerifyAggregate call",
    buckets: VERIFY_SECONDS,
  },
  validProofs: {
    kind: "counter",
    name: "valid_proofs_total",
    help: "Proofs that verified",
  },
  invalidProofs: {
    kind: "counter",
    name: "invalid_proofs_total",
    help: "Proofs that did not verify against exactly the keys expected",
  },
  validSignatures: {
    kind: "counter",
    name: "valid_signatures_total",
    help: "Raw signatures that verified",
  },
  invalidSignatures: {
    kind: "counter",
    name: "invalid_signatures_total",
    help: "Raw signatures rejected: invalid, or made with another slot's leaf",
  },
} as const satisfies MetricTable;

const callers = {
  calls: {
    kind: "counter",
    name: "calls_total",
    help: "Calls that ended, by method and gRPC code; `canceled`: the caller left before the end",
    labels: { method: callMethods, code: callCodes },
  },
  callSeconds: {
    kind: "histogram",
    name: "call_seconds",
    help: "From a call's headers to the end of its answer; GetSession and DrainDevice may wait",
    labels: { method: unaryMethods },
    buckets: CALL_SECONDS,
  },
  requestBytes: {
    kind: "counter",
    name: "request_bytes_total",
    help: "Bytes of the requests that were read, without headers",
    labels: { method: callMethods },
  },
  denied: {
    kind: "counter",
    name: "denied_total",
    help: "Calls denied, by reason: the caller is unknown, or not allowed to do this",
    labels: { reason: deniedReasons },
  },
  overQuota: {
    kind: "counter",
    name: "over_quota_total",
    help: "Snapshots skipped, and calls and streams refused, for the quota of their principal",
    labels: { quota: quotaNames },
  },
  policyReloadSuccessful: {
    kind: "gauge",
    name: "policy_last_reload_successful",
    help: "0 while the policy file is invalid and an older policy is in force, else 1",
    start: 1,
  },
  unreadRefusals: {
    kind: "counter",
    name: "unread_refusals_total",
    help: "Calls refused with RESOURCE_EXHAUSTED before they were read, for lack of memory, by cause: the budget is used up, or the call's connection or caller holds its share of it",
    labels: { cause: noMemoryCauses },
  },
  logLinesDropped: {
    kind: "counter",
    name: "log_lines_dropped_total",
    help: "Log lines dropped because they could not be written: a full disk, or nobody reads",
  },
  spans: {
    kind: "counter",
    name: "spans_total",
    help: "Spans of traces, by result: sent to the collector, rejected by it, or dropped, as it could not be reached for long or too much happened at once",
    labels: { result: ["sent", "rejected", "dropped"] },
  },
  auditLinesLost: {
    kind: "counter",
    name: "audit_lines_lost_total",
    help: "Lines of the audit record that were lost because the file could not be written for too long",
  },
  heldBytes: {
    kind: "gauge",
    name: "held_bytes",
    help: "Memory reserved for requests, sessions and answers, of a fixed budget",
  },
} as const satisfies MetricTable;

export type Metrics = ReturnType<typeof createMetrics>;

/** @param deviceIds every device of the service, the values of the label `device` */
export function createMetrics(deviceIds: readonly string[] = []) {
  const registry = new Registry();
  const table = {
    ...service,
    ...sessions,
    ...schedule,
    ...upgradeMetrics,
    ...proofs,
    ...callers,
    ...deviceMetrics(deviceIds),
  };
  return { registry, ...createFromTable(registry, table) };
}

/** Ends the series of a device that has gone, so that hosts that come and go leave none behind. */
export function removeDevice(metrics: Metrics, device: string): void {
  metrics.deviceDrained.remove({ device });
  metrics.proverPeakBytes.remove({ device });
  metrics.costModelRatio.remove({ device });
  for (const state of deviceDuties) metrics.deviceSeconds.remove({ device, state });
  for (const role of laneRoles) {
    metrics.proverReady.remove({ device, role });
    metrics.proverResidentBytes.remove({ device, role });
  }
}
