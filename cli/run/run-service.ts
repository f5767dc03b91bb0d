/** Runs the service of `lean-aggregator serve` in the foreground until a signal ends it. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../server/clock.js";
import type { Config } from "../../server/config/config.js";
import { settingKeys } from "../../server/config/config.js";
import { engineTlsFiles } from "../../server/engine/engine-settings.js";
import { readMachine } from "../../server/machine/machine.js";
import type { FleetModules } from "../../server/service.js";
import { Recorder } from "../../server/recording/recorder.js";
import { startService } from "../../server/service.js";
import { fileReason } from "../../server/files/file-reason.js";
import { exitCodes, usageError } from "../io/command.js";
import type { ServiceSignals } from "../io/signals.js";
import type { Logger } from "../../server/log/log.js";
import { openAudit } from "./open-audit.js";
import { openDevices, stateFolderFor } from "./open-devices.js";
import { readPolicy, socketsNotServed } from "../policy.js";
import { openProcessLog, readRevision } from "./process-log.js";
import { reload } from "./reload.js";
import { serviceIdOf } from "./service-id.js";
import { openServiceManager } from "./service-manager.js";
import { managed, SignalHandler } from "./service-signals.js";

type Env = Readonly<Record<string, string | undefined>>;

/** What `serve` passes to the service from its process. */
export interface RunModules {
  version: string;
  env: Env;
  signals: Pick<ServiceSignals, "listen">;
  /** Reads the settings again, for SIGHUP; undefined without a settings file. */
  readSettings: (() => Config) | undefined;
}

/**
 * Runs the service until a signal has ended it. Resolves with the exit code: an error if a second
 * signal cut the drain short. Rejects when the service cannot start.
 */
export async function runService(config: Config, modules: RunModules): Promise<number> {
  const { version, env, signals, readSettings } = modules;
  const { log, output } = openProcessLog(config.logLevel, env);
  const handler = new SignalHandler({ signals, log });
  const manager = openServiceManager(env, process.pid, log);
  const policy = config.policy === undefined ? undefined : readPolicy(config.policy);
  for (const socket of policy === undefined ? [] : socketsNotServed(policy.policy, config)) {
    log.warn({ policy: policy?.path, socket }, "the policy names a socket that is not listened on");
  }
  // The locks of the devices may take seconds; nothing runs yet that would have to drain.
  const stopped = handler.stopAsked.then(() => undefined);
  const stateFolder = stateFolderFor(config, { env, log });
  const opened = await Promise.race([openDevices(config, { env, log, stateFolder }), stopped]);
  if (opened === undefined) return exitCodes.ok;
  const { devices, release } = opened;
  const random = () => randomBytes(8).toString("hex");
  const serviceId = await serviceIdOf(config, { log, stateFolder, random });
  const instance = random();
  const audit = openAudit(config.audit, log);
  const revision = readRevision();
  const service = await startService(config, {
    clock: systemClock,
    log,
    logOutput: output,
    devices,
    policy,
    readMachine,
    instance,
    serviceId,
    fleet: await openFleet(config, serviceId, log),
    recorder: openRecorder(config, { log, version, run: instance }),
    audit,
    version,
    revision,
  });
  audit?.add("start", { version, revision, run: instance, service: serviceId });
  const reloadFiles = () =>
    reload(config, { log, service, readSettings, audit, keys: settingKeys });
  manager.started(service);
  const code = await handler.end(managed(manager, { service, reload: reloadFiles }));
  audit?.add("stop", { exitCode: code });
  await audit?.close();
  await release();
  manager.close();
  return code;
}

/** Undefined when nothing is recorded. Throws `CommandError` when the folder cannot be used. */
function openRecorder(
  { record, recordMb, recordContent: content, devices }: Config,
  { log, version, run }: { log: Logger; version: string; run: string },
): Recorder | undefined {
  if (record === undefined) return undefined;
  const bounds = { folder: record, bytesMax: recordMb * 1_000_000 };
  const who = { content, service: version, run, devices: devices.length };
  try {
    return new Recorder({ ...bounds, ...who }, { clock: systemClock, log });
  } catch (cause) {
    const problem = `cannot record in --record ${record}: ${fileReason(cause, record)}`;
    throw usageError(problem, "name a folder that this user may write to", cause);
  }
}

/** Begins to connect to the engine. Undefined, and nothing is loaded, without one in the settings. */
async function openFleet(
  config: Config,
  serviceId: string,
  log: Logger,
): Promise<FleetModules | undefined> {
  const { engine: servers, engineCell: cell, verify } = config;
  if (servers.length === 0) return undefined;
  const { openNatsEngine } = await import("../../server/engine/nats-engine.js");
  const { subjects } = await import("../../server/fleet/wire/subjects.js");
  const { inbox, senderInbox: inboxOf } = subjects(cell);
  const engine = await openNatsEngine(
    {
      ...{ servers, inboxOf },
      name: `door ${serviceId}`,
      inboxPrefix: inbox("door", serviceId),
      tls: engineTlsFiles(config),
    },
    { clock: systemClock, log, random: Math.random },
  );
  return { engine, cell, verify };
}
