/**
 * The composition root: builds the service from its configuration, starts it in order, and closes
 * it in order. Its starter (the command line, tests, the demo) passes in clock and log.
 */
import { collectDefaultMetrics } from "prom-client";
import { Access } from "./access/access.js";
import type { PolicySource } from "./access/policy-watch.js";
import { PolicyWatch } from "./access/policy-watch.js";
import type { Clock } from "./clock.js";
import type { Config } from "./config.js";
import { limits } from "./limits.js";
import type { Logger } from "./log.js";
import { MemoryBudget } from "./memory-budget.js";
import { createMetrics } from "./metrics.js";
import type { Metrics } from "./metrics.js";
import { proverCeilingBytes, standbysThatFit } from "./prover/device.js";
import type { Device } from "./lane/device.js";
import type { LaneProver } from "./lane/lane-messages.js";
import { LocalLanes } from "./lane/local-lanes.js";
import { AdminHandlers } from "./rpc/operator-handlers.js";
import { Handlers } from "./rpc/handlers.js";
import { Listeners } from "./listeners.js";
import type { Addresses } from "./listeners.js";
import type { TlsSourceModules } from "./net/tls-source.js";
import { TlsSource } from "./net/tls-source.js";
import { createTransportMetrics } from "./net/metrics.js";
import { Dispatcher } from "./schedule/dispatcher.js";
import { Admission } from "./admission/admission.js";

/** How often proofs past their fence are erased and logs trimmed. */
const EXPIRE_EVERY_MS = 250;

export interface Service extends Addresses {
  metrics: Metrics;
  /** Resolves once a device can take work, or when the service is closed. */
  ready(): Promise<void>;
  /** The provers that live, set up or not, the active one of a device first. */
  provers(): LaneProver[];
  /** Not ready, deliver, end: bounded by the configured drain. Idempotent. */
  close(): Promise<void>;
  /** SIGKILLs the provers at once; resolves when they have ended. */
  kill(): Promise<void>;
}

export interface ServiceModules {
  clock: Clock;
  log: Logger;
  /** One for each device of the configuration. */
  devices: readonly Device[];
  /** Undefined where the configuration names no policy file. */
  policy: PolicySource | undefined;
  /** Memory that this host or container has, in bytes. */
  memoryBytes: number;
  /** 16 hexadecimal digits, fresh for each run. */
  instance: string;
  version: string;
}

/** Standbys a device, as configured or as memory allows. */
export function standbysOf(
  { standby, devices, proverMemoryMb }: Config,
  memoryBytes: number,
): 0 | 1 {
  if (standby !== "auto") return standby === "1" ? 1 : 0;
  return standbysThatFit(memoryBytes, devices.length, proverMemoryMb * 1e6);
}

function openTls(config: Config, modules: TlsSourceModules): Promise<TlsSource> | undefined {
  return config.tlsCertificate === undefined ? undefined : TlsSource.open(config, modules);
}

/** The lanes of the configured devices; none of them is opened yet. */
function lanesOf(
  config: Config,
  { devices, memoryBytes, clock, log }: ServiceModules,
  metrics: Metrics,
) {
  const proverBytesMax = config.proverMemoryMb * 1e6;
  return new LocalLanes(
    devices,
    {
      standbys: standbysOf(config, memoryBytes),
      residentBytesMax: proverCeilingBytes(memoryBytes, config.devices.length, proverBytesMax),
    },
    { clock, log, metrics, post: (message, receive) => queueMicrotask(() => receive(message)) },
  );
}

/** The service's metrics, beside those of the process. */
function serviceMetrics({ devices }: Config): Metrics {
  const metrics = createMetrics(devices.map(({ id }) => id));
  collectDefaultMetrics({ register: metrics.registry });
  return metrics;
}

function memoryBudget(metrics: Metrics): MemoryBudget {
  return new MemoryBudget(
    limits.heldBytesMax,
    (bytes) => metrics.heldBytes.set(bytes),
    () => metrics.unreadRefusals.inc(),
  );
}

function logAddresses(log: Logger, { addresses, operatorAddress, probesAddress }: Addresses): void {
  const where = { nodes: addresses, operator: operatorAddress ?? "off" };
  log.info({ ...where, probes: probesAddress ?? "off" }, "listening; provers are starting");
}

/** Listens, and begins to set provers up; `ready` resolves once a device can take work. */
export async function startService(config: Config, modules: ServiceModules): Promise<Service> {
  const { clock, log, instance, version, policy } = modules;
  const metrics = serviceMetrics(config);
  const lanes = lanesOf(config, modules, metrics);
  const dispatcher = new Dispatcher(lanes.links, { clock, metrics });
  const memory = memoryBudget(metrics);
  const access = new Access(policy?.policy, { clock, log, metrics });
  const watch = policy && new PolicyWatch(policy, { clock, log, metrics, access });
  const aggregator = new Admission({ instance }, { clock, log, metrics, dispatcher, memory });
  const handlers = new Handlers(
    { instance, version, deadlineMs: config.deadlineMs, fenceMs: config.fenceMs },
    { aggregator, dispatcher, clock, access, verifier: () => lanes.verifier() },
  );
  const operatorCalls = new AdminHandlers({ aggregator, dispatcher, clock, log });
  const notReady = () =>
    aggregator.draining ? "draining" : dispatcher.isUp ? undefined : dispatcher.whyDown();
  const transport = createTransportMetrics(metrics.registry);
  const tls = await openTls(config, { clock, log, transport });
  const shared = { clock, log, metrics, memory, access, transport, tls };
  const listeners = new Listeners(config, { ...shared, calls: handlers, operatorCalls, notReady });
  const addresses = await listeners.listen();
  logAddresses(log, addresses);
  const expire = setInterval(() => {
    aggregator.expire();
    listeners.updateHealth();
  }, EXPIRE_EVERY_MS);
  dispatcher.start(aggregator.queue);
  lanes.open((deviceId, message) => dispatcher.hear(deviceId, message));
  void dispatcher.ready().then(() => listeners.updateHealth());

  const kill = async () => {
    dispatcher.close();
    await lanes.close();
  };
  // In this order: nothing new, what runs is delivered, streams end, processes end.
  const close = async () => {
    log.info({}, "draining");
    const drained = aggregator.drain(config.drainMs);
    listeners.updateHealth();
    await drained;
    clearInterval(expire);
    watch?.close();
    await listeners.close();
    tls?.close();
    await kill();
    log.info({}, "closed");
  };
  let closing: Promise<void> | undefined;
  return {
    ...addresses,
    metrics,
    ready: () => dispatcher.ready(),
    provers: () => lanes.provers(),
    close: () => (closing ??= close()),
    kill,
  };
}
