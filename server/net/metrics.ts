/** The metrics of connections and certificates. */
import type { Registry } from "prom-client";
import { createFromTable } from "../metric-table.js";
import type { MetricTable } from "../metric-table.js";

/** The service's listeners: for nodes with all its addresses, for the operator, and for probes. */
export const listenerNames = ["nodes", "operator", "probes"] as const;
export type ListenerName = (typeof listenerNames)[number];

/**
 * Why the service ends a connection:
 * - `limit`: too many connections were open, and each had a call in progress
 * - `displaced`: it had no call, and a new connection needed its place
 * - `handshake`: TLS failed, for example without a valid client certificate, or took too long
 * - `silent`: it did not answer a ping
 * - `pings`: it sent too many pings
 * - `settings`: it changed its settings too often
 * - `resets`: it reset too many calls before they were answered
 * - `age`, `idle`: it got a GOAWAY for its age, or because it had no call; nothing is wrong with it
 */
export const cutCauses = [
  "limit",
  "displaced",
  "handshake",
  "silent",
  "pings",
  "settings",
  "resets",
  "age",
  "idle",
] as const;
export type CutCause = (typeof cutCauses)[number];

const table = {
  connections: {
    kind: "gauge",
    name: "connections",
    help: "Open connections, by listener",
    labels: { listener: listenerNames },
  },
  cuts: {
    kind: "counter",
    name: "connections_cut_total",
    help: "Connections refused or ended by the service while it runs, by listener and cause",
    labels: { listener: listenerNames, cause: cutCauses },
  },
  certificateExpiry: {
    kind: "gauge",
    name: "certificate_expiry_timestamp_seconds",
    help: "Unix time at which the certificate in use expires; absent without TLS",
    labels: { certificate: ["server", "client_ca"] },
    start: "absent",
  },
  certificateReloads: {
    kind: "counter",
    name: "certificate_reloads_total",
    help: "Changed certificate files; after a failure the previous certificate stays in use",
    labels: { result: ["success", "failure"] },
  },
} as const satisfies MetricTable;

export type TransportMetrics = ReturnType<typeof createTransportMetrics>;

export function createTransportMetrics(registry: Registry) {
  return createFromTable(registry, table);
}
