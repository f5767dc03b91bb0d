/** The metrics of devices and their provers. */
import { endCauses } from "../reasons.js";
import { AT_RUN_TIME } from "./metric-table.js";
import type { MetricTable } from "./metric-table.js";

/** Closest together around 1: a few percent decide whether a proof meets its deadline. */
const COST_RATIOS = [0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.4, 2, 4];

export const laneRoles = ["active", "standby"] as const;
/** What a device does that can prove. */
export const deviceDuties = ["proving", "idle"] as const;
export type DeviceDuty = (typeof deviceDuties)[number];

/** @param device the ids of all devices */
export const deviceMetrics = (device: readonly string[]) =>
  ({
    proverReady: {
      kind: "gauge",
      name: "prover_ready",
      help: "1 while the prover of this role is set up, else 0",
      labels: { device, role: laneRoles },
    },
    proverResidentBytes: {
      kind: "gauge",
      name: "prover_resident_bytes",
      help: "Resident memory of the prover of this role, as it last reported it",
      labels: { device, role: laneRoles },
    },
    proverPeakBytes: {
      kind: "gauge",
      name: "prover_peak_bytes",
      help: "Peak resident memory of the prover in the last proof; 0 before the first",
      labels: { device },
    },
    deviceInfo: {
      kind: "gauge",
      name: "device_info",
      help: "1, with what the device proves: its scheme and revision",
      labels: { device: AT_RUN_TIME, scheme: AT_RUN_TIME, revision: AT_RUN_TIME },
      start: "absent",
    },
    deviceDrained: {
      kind: "gauge",
      name: "device_drained",
      help: "1 while the operator keeps new work from the device, else 0; a service has those of its lane hosts too",
      labels: { device },
    },
    deviceSeconds: {
      kind: "counter",
      name: "device_seconds_total",
      help: "Time in which the device could prove: `proving` with an attempt, also one that is killed, `idle` without; setups and idle time while it is drained are not counted",
      labels: { device, state: deviceDuties },
    },
    costModelRatio: {
      kind: "histogram",
      name: "cost_model_ratio",
      help: "Time of an undisturbed proof divided by the time predicted for its shape",
      labels: { device },
      buckets: COST_RATIOS,
    },
    proverRestarts: {
      kind: "counter",
      name: "prover_restarts_total",
      help: "Prover processes that ended or did not start, by cause",
      labels: { cause: endCauses },
    },
  }) as const satisfies MetricTable;
