/** What is measured of connections and certificates; every label value exists from the start at 0. */
import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";

export const listenerNames = ["grpc", "http", "admin", "probes"] as const;
/** The service's listeners; "grpc" is the data plane with all its addresses, "http" the edge. */
export type ListenerName = (typeof listenerNames)[number];

/**
 * - `limit`: it came when too many were open, and each had a call in progress
 * - `displaced`: it had none, and made room for a newcomer
 * - `handshake`: TLS failed, for want of a good client certificate among others, or took too long
 * - `silent`: no answer to a ping
 * - `pings`: it pinged too often
 * - `settings`: it changed its settings too often
 * - `resets`: it took too many calls back before they were answered
 * - `age`, `idle`: it was told to leave, and nothing is wrong with it
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

export type TransportMetrics = ReturnType<typeof createTransportMetrics>;

export function createTransportMetrics(registry: Registry) {
  const registers = [registry];
  const metrics = {
    connections: new Gauge({
      name: "lean_aggregator_connections",
      help: "Connections that are open, by listener",
      labelNames: ["listener"] as const,
      registers,
    }),
    cuts: new Counter({
      name: "lean_aggregator_connections_cut_total",
      help: "Connections refused or ended by the service while it runs, by listener and cause",
      labelNames: ["listener", "cause"] as const,
      registers,
    }),
    certificateExpiry: new Gauge({
      name: "lean_aggregator_certificate_expiry_timestamp_seconds",
      help: "Unix time at which the certificate in use expires; absent without TLS",
      labelNames: ["certificate"] as const,
      registers,
    }),
    certificateReloads: new Counter({
      name: "lean_aggregator_certificate_reloads_total",
      help: "Changed certificate files; on failure the certificate before stays in use",
      labelNames: ["result"] as const,
      registers,
    }),
  };
  for (const listener of listenerNames) {
    metrics.connections.set({ listener }, 0);
    for (const cause of cutCauses) metrics.cuts.inc({ listener, cause }, 0);
  }
  for (const result of ["success", "failure"]) metrics.certificateReloads.inc({ result }, 0);
  return metrics;
}
