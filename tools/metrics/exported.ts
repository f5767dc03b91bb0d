/**
 * What a service and a node with the adapter export, without starting either: the registries of
 * both, with one example of each label value that is known only at run time.
 */
import { Registry } from "prom-client";
import { createAdapterMetrics } from "../../client/adapter/metrics.js";
import { createMetrics } from "../../server/metrics/metrics.js";
import { createDoorMetrics } from "../../server/fleet/door/door-metrics.js";
import { createHostMetrics } from "../../server/fleet/host/host-metrics.js";
import { createTransportMetrics } from "../../server/net/metrics.js";
import { addProcessMetrics } from "../../server/metrics/process-metrics.js";
import { upgradeStates } from "../../server/reasons.js";
import { createNodeMetrics } from "../devnet/node/metrics.js";

/** The service's, on one device named `cpu`. `isDoor`: with an engine, by which it has lane hosts. */
export function serviceRegistry({ isDoor = true } = {}): Registry {
  const metrics = createMetrics(["cpu"]);
  const transport = createTransportMetrics(metrics.registry);
  transport.certificateExpiry.set({ certificate: "server" }, 0);
  transport.certificateExpiry.set({ certificate: "client_ca" }, 0);
  if (isDoor) {
    const door = createDoorMetrics(metrics.registry);
    door.hostLanes.set({ host: "host-0" }, 1);
    door.hostClockOffset.set({ host: "host-0" }, 0);
  }
  addProcessMetrics(metrics.registry);
  metrics.buildInfo.set({ version: "0.1.0", revision: "unknown", nodejs: "20.19.0" }, 1);
  metrics.deviceInfo.set({ device: "cpu", scheme: "leanxmss", revision: "0.7.0" }, 1);
  metrics.nodeSnapshots.inc({ node: "node-0", result: "accepted" });
  metrics.nodeSnapshots.inc({ node: "node-0", result: "skipped" }, 0);
  for (const state of upgradeStates) metrics.upgrade.set({ state }, 0);
  return metrics.registry;
}

/** What a lane host exports besides: of its devices and its process, the service's. */
export function laneHostRegistry(): Registry {
  const registry = new Registry();
  createHostMetrics(registry);
  return registry;
}

/** The adapter's alone, on the registry of its node. */
export function adapterRegistry(): Registry {
  const registry = new Registry();
  createAdapterMetrics(registry);
  return registry;
}

/** A node's with the adapter: it has the names that lean clients share, and those of its process. */
export function nodeRegistry(): Registry {
  const registry = adapterRegistry();
  createNodeMetrics(registry).tickSeconds.observe({ interval: "2" }, 0.01);
  return registry;
}
