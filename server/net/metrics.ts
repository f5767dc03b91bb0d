/** The metrics of connections and certificates. */
import type { Registry } from "prom-client";
import { createFromTable } from "../metrics/metric-table.js";
import type { MetricTable } from "../metrics/metric-table.js";

/** The service's listeners: one for all addresses where nodes call, the operator's, the probes'. */
export const listenerNames = ["nodes", "operator", "probes"] as const;
export type ListenerName = (typeof listenerNames)[number];

/**
 * Why the service refuses or ends a connection:
 * - `limit`: refused, because the listener was full and every open connection had a call
 * - `accept`: the system could not accept it, for example without a file descriptor
 * - `displaced`: a new connection came to a full listener, and this one, mostly without a call, gave way
 * - `handshake`: TLS failed, for example for lack of a valid certificate, or took too long
 * - `silent`: the client did not answer a ping
 * - `pings`: the client sent too many pings
 * - `settings`: the client changed its settings too often
 * - `resets`: the client reset too many calls before they were answered
 * - `calls`: the client sent more calls over HTTP/1.1 than a connection may have, before their answers
 * - `age`, `idle`: it got a GOAWAY because it was old, or long without a call; this is no fault
 */
export const cutCauses = [
  "limit",
  "accept",
  "displaced",
  "handshake",
  "silent",
  "pings",
  "settings",
  "resets",
  "calls",
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
    help: "Unix time at which the certificate in use expires; `engine`: the first of its connection to the engine, the server's included; absent without TLS",
    labels: { certificate: ["server", "client_ca", "engine"] },
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
