/** Runs the lane host of `lean-aggregator prove` in the foreground until a signal ends it. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../server/clock.js";
import { startHost } from "../../server/host.js";
import { readMachine } from "../../server/machine/machine.js";
import type { ProveConfig } from "../../server/config/prove-config.js";
import { proveSettingKeys } from "../../server/config/prove-config.js";
import { exitCodes } from "../io/command.js";
import type { ServiceSignals } from "../io/signals.js";
import { openAudit } from "./open-audit.js";
import { openDevices, stateFolderFor } from "./open-devices.js";
import { openProcessLog, readRevision } from "./process-log.js";
import { reload } from "./reload.js";
import { openServiceManager } from "./service-manager.js";
import { managed, SignalHandler } from "./service-signals.js";

const ALIVE_MS = 60_000;

/** What `prove` passes on from its process. */
export interface HostRunModules {
  version: string;
  env: Readonly<Record<string, string | undefined>>;
  signals: Pick<ServiceSignals, "listen">;
  /** Reads the settings again, for SIGHUP; undefined without a settings file. */
  readSettings: (() => ProveConfig) | undefined;
}

/**
 * Runs the host until a signal has ended it. Resolves with the exit code: an error if a second
 * signal cut the drain short. Rejects when the host cannot start.
 */
export async function runHost(config: ProveConfig, modules: HostRunModules): Promise<number> {
  const { version, env, signals, readSettings } = modules;
  const { log, output } = openProcessLog(config.logLevel, env);
  const handler = new SignalHandler({ signals, log });
  const manager = openServiceManager(env, process.pid, log);
  const stopped = handler.stopAsked.then(() => undefined);
  const stateFolder = stateFolderFor(config, { env, log });
  const opened = await Promise.race([openDevices(config, { env, log, stateFolder }), stopped]);
  if (opened === undefined) return exitCodes.ok;
  const { devices, release } = opened;
  const audit = openAudit(config.audit, log);
  const run = randomBytes(8).toString("hex");
  const revision = readRevision();
  const host = await startHost(config, {
    clock: systemClock,
    log,
    logOutput: output,
    devices,
    readMachine,
    run,
    audit,
    version,
    revision,
  });
  audit?.add("start", { version, revision, run, host: config.hostId, cell: config.engineCell });
  // There is no policy, and the engine's client reads its certificates at each connection.
  const service = { reload: () => Promise.resolve([]) };
  // A host that waits for the engine, without probes, has no socket by which Node.js would live on.
  const alive = setInterval(() => undefined, ALIVE_MS);
  const reloadFiles = () =>
    reload(config, { log, service, readSettings, audit, keys: proveSettingKeys });
  manager.started(host);
  const code = await handler.end(managed(manager, { service: host, reload: reloadFiles }));
  clearInterval(alive);
  audit?.add("stop", { exitCode: code });
  await audit?.close();
  await release();
  manager.close();
  return code;
}
