/**
 * The composition root: builds the service from its configuration, and starts and closes its parts
 * in order. The caller (the command line, tests, tools) passes in the clock and the log.
 */
import { randomBytes } from "node:crypto";
import { Access } from "./access/access.js";
import type { PolicySource } from "./access/policy-watch.js";
import { PolicyWatch } from "./access/policy-watch.js";
import { ActivityFeed } from "./activity.js";
import type { AuditLog } from "./audit/audit-log.js";
import type { Clock } from "./clock.js";
import type { Config } from "./config/config.js";
import { exportCertificateExpiry } from "./engine/certificate-expiry.js";
import type { Engine } from "./engine/engine.js";
import type { RemoteLanes } from "./fleet/door/remote-lanes.js";
import { limits } from "./limits.js";
import type { LeveledLogger, Logger, StderrLog } from "./log/log.js";
import { MemoryBudget } from "./memory-budget.js";
import { createMetrics } from "./metrics/metrics.js";
import type { Metrics } from "./metrics/metrics.js";
import type { Machine } from "./machine/machine.js";
import { MachineWatch } from "./machine-watch.js";
import { addProcessMetrics } from "./metrics/process-metrics.js";
import type { Device } from "./lane/device.js";
import { LaneActivity } from "./lane/lane-activity.js";
import type { LaneListener, LaneProver } from "./lane/lane-messages.js";
import type { LaneOptions } from "./lane/lane-events.js";
import type { ReadyVerifier } from "./lane/local-lanes.js";
import { LocalLanes } from "./lane/local-lanes.js";
import type { Recorder } from "./recording/recorder.js";
import { AdminHandlers } from "./rpc/operator-handlers.js";
import { Handlers } from "./rpc/handlers.js";
import { ServiceStatus } from "./rpc/service-status.js";
import { Listeners } from "./listeners.js";
import type { Addresses } from "./listeners.js";
import type { TlsSourceModules } from "./net/tls-source.js";
import { TlsSource } from "./net/tls-source.js";
import { createTransportMetrics } from "./net/metrics.js";
import { coresText } from "./prover/device/cores.js";
import type { Tracing } from "./traces/tracing.js";
import { Schedules } from "./schedule/schedules.js";
import { proofSystemNamed } from "./work/prover-description.js";
import { Admission } from "./admission/admission.js";

/** How often proofs past their fence are erased, requests forgotten and the health updated. */
const EXPIRE_EVERY_MS = 250;
/** A session that is in flight for longer than this past its fence is stuck. */
const STUCK_MS = 5000;

export interface Service extends Addresses {
  metrics: Metrics;
  /** Resolves once a device can prove, or when the service is closed. */
  ready(): Promise<void>;
  /** The prover processes that live, set up or not; of each device the active one first. */
  provers(): LaneProver[];
  /**
   * Drains and ends the service: skips new snapshots, ends queued groups, waits for running ones up
   * to the configured `drainMs`, lets streams deliver, and ends the provers. Idempotent.
   */
  close(): Promise<void>;
  /** Reads the policy and the TLS files again, each if configured. A wrong one changes nothing. */
  reload(): Promise<Reloaded[]>;
  /** Kills the provers at once, by SIGKILL; resolves when they have ended. */
  kill(): Promise<void>;
  /** Why no snapshot is accepted now, for people; undefined when one is. */
  whyNotReady(): string | undefined;
  /** What no longer goes on, for people; undefined while all does: each session ends by its fence. */
  whyStuck(): string | undefined;
}

/** How lane hosts prove for the service. */
export interface FleetModules {
  /** Connected or not. */
  engine: Engine;
  cell: string;
  /** Who verifies a proof of a lane host before it is delivered. */
  verify: "other-host" | "same-host";
}

/** One of the things that were read again. */
export interface Reloaded {
  what: "policy" | "certificates" | "settings" | "audit";
  /** False when it is wrong: the old one stays in use, and the log says why. */
  isTaken: boolean;
}

export interface ServiceModules {
  clock: Clock;
  log: LeveledLogger;
  /** Where the log goes, to count the lines that were dropped. Default: they are not counted. */
  logOutput?: StderrLog["output"];
  /** The devices of the configuration, with how to start provers on them. */
  devices: readonly Device[];
  /** Undefined when the configuration names no policy file. */
  policy: PolicySource | undefined;
  /**
   * The engine, connected or not, over which the lane hosts of a cell prove for this service; the
   * service closes it. Then `serviceId` has to be a token of a subject, and there may be no devices.
   * Default: only the own devices prove.
   */
  fleet?: FleetModules | undefined;
  /** Gets a line for each session, skip and act of the operator; the caller closes it. Default: none. */
  audit?: AuditLog | undefined;
  /** Records requests, outcomes and activity; the service closes it. Default: nothing is recorded. */
  recorder?: Recorder | undefined;
  /** Reads what the service may use of this machine. Called again while it runs. */
  readMachine(): Machine;
  /** Identifies this run of the service: 16 hexadecimal digits. */
  instance: string;
  /** Names the service, over all its runs. */
  serviceId: string;
  version: string;
  /** The commit that the service was built from. Default: "unknown". */
  revision?: string;
}

/** Reads the TLS files. Undefined when TLS is not configured; rejects when they are invalid. */
function openTls(config: Config, modules: TlsSourceModules): Promise<TlsSource> | undefined {
  return config.tlsCertificate === undefined ? undefined : TlsSource.open(config, modules);
}

/** The lanes of the configured devices. Their provers start when the lanes are opened. */
function lanesOf({ devices, clock, log }: ServiceModules, options: LaneOptions, metrics: Metrics) {
  return new LocalLanes(devices, options, {
    clock,
    log,
    metrics,
    post: (message, receive) => queueMicrotask(() => receive(message)),
  });
}

/** The lanes of other hosts; nothing of them is loaded without an engine. */
async function remoteLanesOf(
  { engine, cell, verify }: FleetModules,
  { clock, log, serviceId, instance }: ServiceModules,
  { lanes, memory, metrics }: Omit<Working, "remote" | "tracing">,
): Promise<RemoteLanes> {
  const { RemoteLanes } = await import("./fleet/door/remote-lanes.js");
  const { createDoorMetrics } = await import("./fleet/door/door-metrics.js");
  const door = { id: serviceId, run: instance };
  return new RemoteLanes(
    { cell, verify, door },
    {
      ...{ clock, log, engine, memory, metrics: createDoorMetrics(metrics.registry) },
      service: metrics,
      ownVerifier: (system) => lanes.verifier(system),
    },
  );
}

/** Ids of the first device and of those with the same backend, which set up the same provers. */
function decidersOf(devices: readonly Device[]): string[] {
  const [first] = devices;
  const isAlike = ({ backend }: Device) =>
    backend?.library === first?.backend?.library && backend?.config === first?.backend?.config;
  return devices.filter(isAlike).map(({ id }) => id);
}

/** What proves, here and elsewhere, and what assigns to it. Starts nothing. */
async function workingParts(
  config: Config,
  modules: ServiceModules,
  options: LaneOptions,
  metrics: Metrics,
): Promise<Working> {
  const { clock, log, fleet } = modules;
  const { proofSystem, upgrade } = config;
  const named = proofSystem === undefined ? undefined : proofSystemNamed(proofSystem);
  const elsewhere: { remote?: RemoteLanes } = {};
  const whyMissing = () => elsewhere.remote?.whyMissing() ?? "";
  const { leafRawsMax } = options;
  const schedules = new Schedules(
    {
      ...{ named, deciders: decidersOf(modules.devices), leafRawsMax },
      upgrade: upgrade && { ...upgrade, slot: BigInt(upgrade.slot) },
    },
    { clock, metrics, log, whyMissing },
  );
  const parts = {
    ...{ schedules, metrics, memory: memoryBudget(metrics) },
    activity: new ActivityFeed(limits.activitiesMax),
    lanes: lanesOf(modules, options, metrics),
  };
  if (fleet !== undefined) elsewhere.remote = await remoteLanesOf(fleet, modules, parts);
  const tracing = await tracingOf(config, modules, parts);
  return { ...parts, remote: elsewhere.remote, tracing };
}

/** Undefined, and nothing is loaded, without a collector in the settings. */
async function tracingOf(
  { otlp: url, otlpHeaders: headersFile, otlpRatio: ratio }: Config,
  { clock, log, serviceId, instance, version }: ServiceModules,
  { activity, metrics }: Pick<Working, "activity" | "metrics">,
): Promise<Tracing | undefined> {
  if (url === undefined) return undefined;
  const { Tracing } = await import("./traces/tracing.js");
  const { Collector } = await import("./traces/collector.js");
  const collector = new Collector({ url, headersFile }, { clock });
  const options = { serviceId, instance, version, ratio };
  return new Tracing(options, { clock, log, metrics, activity, collector, random: randomBytes });
}

/** The service's metrics, in a registry that also has those of its process. */
function serviceMetrics(
  { devices }: Config,
  { clock, version, revision = "unknown", logOutput, audit }: ServiceModules,
): Metrics {
  const metrics = createMetrics(devices.map(({ id }) => id));
  logOutput?.onDropped((lines) => metrics.logLinesDropped.inc(lines));
  audit?.countLost(() => metrics.auditLinesLost.inc());
  metrics.buildInfo.set({ version, revision, nodejs: process.versions.node }, 1);
  metrics.unixTime.readBy(() => clock.unixMs() / 1000);
  addProcessMetrics(metrics.registry);
  return metrics;
}

function memoryBudget(metrics: Metrics): MemoryBudget {
  return new MemoryBudget(
    limits.heldBytesMax,
    (bytes) => metrics.heldBytes.set(bytes),
    (cause) => metrics.unreadRefusals.inc({ cause }),
  );
}

function whyNotReady({ draining }: Admission, schedules: Schedules): string | undefined {
  return draining ? "draining" : schedules.isUp ? undefined : schedules.whyDown();
}

function logAddresses(log: Logger, { addresses, operatorAddress, probesAddress }: Addresses): void {
  const where = { nodes: addresses, operator: operatorAddress ?? "off" };
  log.info({ ...where, probes: probesAddress ?? "off" }, "listening; provers are starting");
}

/** The cores of each device that has some set, for people. */
function coresOf({ devices }: Config): ReadonlyMap<string, string> {
  const pinned = devices.filter(({ cores }) => cores.length > 0);
  return new Map(pinned.map(({ id, cores }) => [id, coresText(cores)]));
}

interface Working {
  schedules: Schedules;
  lanes: LocalLanes;
  memory: MemoryBudget;
  metrics: Metrics;
  activity: ActivityFeed;
  /** The lanes of other hosts; undefined without an engine. */
  remote: RemoteLanes | undefined;
  /** Undefined without a collector. */
  tracing: Tracing | undefined;
}

/** What verifies proofs of this proof system: own devices first, else a lane host. */
function verifierOf(system: string, { lanes, remote }: Working): ReadyVerifier | undefined {
  return (remote ?? lanes).verifier(system);
}

/** Passes all to `listener`, and calls `after` each time. */
function thenDo(listener: LaneListener, after: () => void): LaneListener {
  return {
    added: (link) => {
      listener.added(link);
      after();
    },
    heard: (deviceId, message) => {
      listener.heard(deviceId, message);
      after();
    },
    gone: (deviceId, why) => {
      listener.gone(deviceId, why);
      after();
    },
  };
}

/** Starts provers and scheduling. Returns the timer that erases what is past its time. */
function startWork(
  { schedules, lanes, remote, activity, tracing }: Working,
  clock: Clock,
  admission: Admission,
  updateHealth: () => void,
): NodeJS.Timeout {
  const expire = setInterval(() => {
    admission.expire();
    updateHealth();
    tracing?.collect();
  }, EXPIRE_EVERY_MS);
  const noted = new LaneActivity(schedules, { clock, activity });
  lanes.open(thenDo(noted, updateHealth));
  // Hosts announce too often to look at the health each time: the timer does.
  remote?.open(noted, updateHealth);
  return expire;
}

/** Kills the provers at once; resolves when they have ended. */
async function endWork({ schedules, remote, lanes }: Working, fleet: FleetModules | undefined) {
  schedules.close();
  remote?.close();
  await Promise.all([lanes.close(), fleet?.engine.close()]);
}

/** What the health checks and the service manager's watchdog look at. */
function looksAt(
  admission: Admission,
  schedules: Schedules,
  clock: Clock,
): Pick<Service, "whyNotReady" | "whyStuck"> {
  return {
    whyNotReady: () => whyNotReady(admission, schedules),
    whyStuck: () => {
      const lateAtMs = clock.nowMs() - STUCK_MS;
      const late = admission
        .listSessions()
        .find(({ submission }) => submission.fenceAtMs < lateAtMs);
      return late && `session ${late.id} has not ended ${STUCK_MS} ms after its fence`;
    },
  };
}

async function reloadFiles(
  policy: PolicyWatch | undefined,
  tls: TlsSource | undefined,
): Promise<Reloaded[]> {
  const results: Reloaded[] = [];
  if (policy) results.push({ what: "policy", isTaken: await policy.reload() });
  if (tls) results.push({ what: "certificates", isTaken: await tls.reload() });
  return results;
}

/**
 * Resolves once the service listens; its provers are then still being set up, see `ready`. Rejects
 * when an address cannot be bound or a TLS file is invalid.
 */
export async function startService(config: Config, modules: ServiceModules): Promise<Service> {
  const { clock, log, instance, serviceId, version, policy, recorder, audit, fleet } = modules;
  const metrics = serviceMetrics(config, modules);
  const machine = new MachineWatch(config, modules);
  const parts = await workingParts(config, modules, machine.laneOptions, metrics);
  const { schedules, memory, remote, activity, tracing } = parts;
  const access = new Access(policy?.policy, { clock, log, metrics });
  const watch = policy && new PolicyWatch(policy, { clock, log, metrics, access });
  const admitting = { clock, log, metrics, schedules, memory, recorder, activity, audit };
  const admission = new Admission({ instance }, admitting);
  const status = new ServiceStatus({ admission, schedules });
  const verifier = (system: string) => verifierOf(system, parts);
  const options = { ...config, instance, serviceId, version };
  const serving = { admission, status, schedules, clock, access, activity };
  const handlers = new Handlers(options, { ...serving, recorder, verifier });
  const watching = { log, audit, fleet: async () => remote?.fleetView(), cores: coresOf(config) };
  const operatorCalls = new AdminHandlers(options, { ...serving, ...watching });
  const looks = looksAt(admission, schedules, clock);
  const transport = createTransportMetrics(metrics.registry);
  const endExpiry = exportCertificateExpiry(config, fleet?.engine, transport.certificateExpiry);
  const tls = await openTls(config, { clock, log, transport });
  const { nodeConnectionsMax } = machine;
  const shared = { clock, log, metrics, memory, access, transport, tls, nodeConnectionsMax };
  const calls = { calls: handlers, operatorCalls, notReady: looks.whyNotReady };
  const listeners = new Listeners(config, { ...shared, ...calls });
  const addresses = await listeners.listen();
  logAddresses(log, addresses);
  const updateHealth = () => {
    status.update();
    listeners.updateHealth();
  };
  const expire = startWork(parts, clock, admission, updateHealth);
  operatorCalls.record(recorder);
  const kill = () => endWork(parts, fleet);
  // In this order: nothing new is accepted, sessions end, streams deliver and end, provers end.
  const close = async () => {
    log.info({}, "draining");
    const drained = admission.drain(config.drainMs);
    updateHealth();
    await drained;
    clearInterval(expire);
    machine.close();
    watch?.close();
    endExpiry();
    await listeners.close();
    await tracing?.close();
    tls?.close();
    await kill();
    await recorder?.close(operatorCalls.close());
    log.info({}, "closed");
  };
  let closing: Promise<void> | undefined;
  return {
    ...{ ...addresses, ...looks, metrics, kill },
    ready: () => schedules.ready(),
    provers: () => parts.lanes.provers(),
    close: () => (closing ??= close()),
    reload: () => reloadFiles(watch, tls),
  };
}
