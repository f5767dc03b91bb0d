/** The metrics of a door: of the engine, of the lane hosts that it hears, and of what it takes. */
import type { Registry } from "prom-client";
import { heardHostStates } from "../../lane/lane-hosts.js";
import { AT_RUN_TIME, createFromTable } from "../../metrics/metric-table.js";
import type { MetricTable } from "../../metrics/metric-table.js";
import { goneCauses } from "./hosts.js";

/**
 * What a lane host or the network does that no correct host does:
 * - `garbage`: a message that cannot be decoded, or bytes that are not those of their name
 * - `flood`: a message beyond the host's share, which was dropped unread
 * - `unassigned`: the result of an attempt that the host was never given
 * - `dropped`: an attempt that a device ignored, or ended without a result for the second time in a row
 * - `invalid_proof`: a proof that does not attest what it should
 * - `false_verdict`: a verdict on another host's proof that two others contradict
 * - `device`: more devices than a host may have
 * - `shared_id`: two hosts use one id
 */
export const hostFaults = [
  "garbage",
  "flood",
  "unassigned",
  "dropped",
  "invalid_proof",
  "false_verdict",
  "device",
  "shared_id",
] as const;
export type HostFault = (typeof hostFaults)[number];

const table = {
  engineUp: {
    kind: "gauge",
    name: "fleet_engine_up",
    help: "1 while the service is connected to the engine, else 0",
  },
  hosts: {
    kind: "gauge",
    name: "fleet_hosts",
    help: "Lane hosts that are heard; `left_out`: of another version, or with too many proof systems; `distrusted`: its proofs or verdicts were wrong",
    labels: { state: heardHostStates },
  },
  lanes: {
    kind: "gauge",
    name: "fleet_lanes",
    help: "Lanes of lane hosts that the service may assign to",
  },
  hostLanes: {
    kind: "gauge",
    name: "fleet_host_lanes",
    help: "Lanes of each lane host that the service may assign to",
    labels: { host: AT_RUN_TIME },
  },
  hostClockOffset: {
    kind: "gauge",
    name: "fleet_host_clock_offset_seconds",
    help: "The service's monotonic clock less that of the lane host; a jump: one stood still or was set",
    labels: { host: AT_RUN_TIME },
  },
  gone: {
    kind: "counter",
    name: "fleet_gone_total",
    help: "Lane hosts that are gone, by cause",
    labels: { cause: goneCauses },
  },
  attemptsGone: {
    kind: "counter",
    name: "fleet_attempts_gone_total",
    help: "Attempts that ended because their lane host was gone",
  },
  verified: {
    kind: "counter",
    name: "fleet_proofs_verified_total",
    help: "Proofs of lane hosts, by who verified them: this service, another host, or their maker",
    labels: { by: ["own", "other_host", "same_host"] },
  },
  verifySeconds: {
    kind: "histogram",
    name: "fleet_verification_seconds",
    help: "From the bytes of a lane host's proof to the verdict of this service or another host",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4],
  },
  faults: {
    kind: "counter",
    name: "fleet_faults_total",
    help: "What lane hosts did that no correct host does, by fault",
    labels: { fault: hostFaults },
  },
  sentBytes: {
    kind: "counter",
    name: "fleet_sent_bytes_total",
    help: "Bytes that the service sent to lane hosts, work included",
  },
  receivedBytes: {
    kind: "counter",
    name: "fleet_received_bytes_total",
    help: "Bytes that the service received of lane hosts, proofs included",
  },
  keptBytes: {
    kind: "gauge",
    name: "fleet_kept_bytes",
    help: "Memory of work that is kept while lane hosts have it, of the budget of held_bytes",
  },
  beatDelay: {
    kind: "histogram",
    name: "fleet_beat_delay_seconds",
    help: "How much later than the fastest beat of its host in 30 s a beat came",
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
  },
} as const satisfies MetricTable;

export type DoorMetrics = ReturnType<typeof createDoorMetrics>;

export function createDoorMetrics(registry: Registry) {
  return createFromTable(registry, table);
}
