/**
 * The composition root of a lane host: builds it from its configuration, and starts and closes its
 * parts in order. The caller (the command line, tests, tools) passes in the clock and the log.
 */
import type { AuditLog } from "./audit/audit-log.js";
import type { Clock } from "./clock.js";
import { engineTlsFiles } from "./engine/engine-settings.js";
import type { Engine } from "./engine/engine.js";
import { exportCertificateExpiry } from "./engine/certificate-expiry.js";
import { openNatsEngine } from "./engine/nats-engine.js";
import { createHostMetrics } from "./fleet/host/host-metrics.js";
import { LaneHost } from "./fleet/host/lane-host.js";
import { subjects } from "./fleet/wire/subjects.js";
import { defaults } from "./limits.js";
import type { Device } from "./lane/device.js";
import { LocalLanes } from "./lane/local-lanes.js";
import type { LeveledLogger, StderrLog } from "./log/log.js";
import type { Machine } from "./machine/machine.js";
import { MachineWatch } from "./machine-watch.js";
import { createMetrics } from "./metrics/metrics.js";
import type { Metrics } from "./metrics/metrics.js";
import { createTransportMetrics } from "./net/metrics.js";
import { addProcessMetrics } from "./metrics/process-metrics.js";
import type { ProveConfig } from "./config/prove-config.js";
import { Pages, ProbeServer } from "./rpc/pages/pages.js";

/** Time for open requests for pages to end when the host closes. */
const CLOSE_MS = 500;

export interface HostModules {
  clock: Clock;
  log: LeveledLogger;
  /** Where the log goes, to count the lines that were dropped. Default: they are not counted. */
  logOutput?: StderrLog["output"];
  /** The devices of the configuration, with how to start provers on them. */
  devices: readonly Device[];
  /** Reads what the host may use of this machine. Called again while it runs. */
  readMachine(): Machine;
  /** The audit record; undefined where it is off. */
  audit?: AuditLog | undefined;
  /** Identifies this run of the host: 16 hexadecimal digits. */
  run: string;
  version: string;
  /** The commit that the host was built from. */
  revision: string;
}

export interface Host {
  /** Where the probes are; undefined when they are off. */
  probesAddress: string | undefined;
  /**
   * Drains and ends the host: its lanes take nothing new, what runs has up to the configured
   * `drainMs`, then it says goodbye and ends the provers. Idempotent.
   */
  close(): Promise<void>;
  /**
   * Says goodbye and kills the provers at once, by SIGKILL; resolves when they have ended. The connection
   * to the engine and the probes stay, for the process is to end.
   */
  kill(): Promise<void>;
  /** Why no lane can be offered now, for people; undefined when one can. */
  whyNotReady(): string | undefined;
  /** What no longer goes on, for people; undefined while all does. */
  whyStuck(): string | undefined;
}

/** Resolves once the probes listen; provers and the engine may still be on their way. */
export async function startHost(config: ProveConfig, modules: HostModules): Promise<Host> {
  const { clock, log, devices, run, audit } = modules;
  const metrics = hostMetrics(config, modules);
  const machine = new MachineWatch(config, modules);
  const engine = await openEngine(config, modules);
  const lanes = new LocalLanes(devices, machine.laneOptions, {
    clock,
    log,
    metrics,
    post: (message, receive) => queueMicrotask(() => receive(message)),
  });
  const host = new LaneHost(
    { cell: config.engineCell, host: { id: config.hostId, run } },
    { clock, log, engine, lanes, metrics: createHostMetrics(metrics.registry), audit },
  );
  const notReady = () =>
    engine.status.isUp ? host.whyNoLane() : `the engine is down: ${engine.status.detail}`;
  metrics.ready.readBy(() => (notReady() === undefined ? 1 : 0));
  const transport = createTransportMetrics(metrics.registry);
  const endExpiry = exportCertificateExpiry(config, engine, transport.certificateExpiry);
  const pages = new Pages({ clock, metrics, notReady });
  const probes = probesOf(config, { clock, log, transport, pages });
  const probesAddress = await probes?.listen(config.probes);
  const where = { host: config.hostId, cell: config.engineCell, engine: config.engine };
  log.info({ ...where, probes: probesAddress ?? "off" }, "offering lanes; provers are starting");
  host.open();
  const kill = async () => {
    host.close();
    await lanes.close();
  };
  const close = async () => {
    log.info({}, "draining");
    await host.drain(config.drainMs);
    await kill();
    await engine.close();
    machine.close();
    endExpiry();
    await probes?.close(CLOSE_MS);
    log.info({}, "closed");
  };
  let closing: Promise<void> | undefined;
  return {
    ...{ probesAddress, kill, whyNotReady: notReady },
    close: () => (closing ??= close()),
    whyStuck: () => host.whyStuck(),
  };
}

function hostMetrics(
  { devices }: ProveConfig,
  { version, revision, clock, logOutput, audit }: HostModules,
): Metrics {
  const metrics = createMetrics(devices.map(({ id }) => id));
  audit?.countLost(() => metrics.auditLinesLost.inc());
  logOutput?.onDropped((lines) => metrics.logLinesDropped.inc(lines));
  metrics.buildInfo.set({ version, revision, nodejs: process.versions.node }, 1);
  metrics.unixTime.readBy(() => clock.unixMs() / 1000);
  addProcessMetrics(metrics.registry);
  return metrics;
}

function openEngine(config: ProveConfig, { clock, log }: HostModules): Promise<Engine> {
  const { hostId, engine: servers, engineCell } = config;
  const { inbox, senderInbox: inboxOf } = subjects(engineCell);
  return openNatsEngine(
    {
      name: hostId,
      ...{ servers, inboxOf },
      inboxPrefix: inbox("host", hostId),
      tls: engineTlsFiles(config),
    },
    { clock, log, random: Math.random },
  );
}

/** The listener for probes; undefined where it is off. */
function probesOf(
  { probes }: ProveConfig,
  modules: ConstructorParameters<typeof ProbeServer>[1],
): ProbeServer | undefined {
  if (probes === "off") return undefined;
  const socket = { mode: Number.parseInt(defaults.socketMode, 8), group: undefined };
  return new ProbeServer({ socket, allowedHosts: [] }, modules);
}
