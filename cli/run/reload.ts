/** What SIGHUP reloads: the policy, the certificates, and the log level of the settings file. */
import type { AuditLog } from "../../server/audit/audit-log.js";
import type { LeveledLogger, LogLevel } from "../../server/log/log.js";
import type { Service } from "../../server/service.js";

/** Settings, of which one can change while the process runs. */
interface Settings {
  readonly logLevel: LogLevel;
}

export interface ReloadModules<T extends Settings> {
  /** Names of the settings. */
  keys: readonly string[];
  log: LeveledLogger;
  service: Pick<Service, "reload">;
  /** The audit record, whose file is opened again; undefined without one. */
  audit?: Pick<AuditLog, "add" | "reopen"> | undefined;
  /** Reads the settings again; undefined without a settings file. Throws for wrong settings. */
  readSettings: (() => T) | undefined;
}

/** @param running the settings that the service was started with */
export async function reload<T extends Settings>(
  running: T,
  modules: ReloadModules<T>,
): Promise<void> {
  const { log, service, readSettings, audit } = modules;
  const results = await service.reload();
  if (audit !== undefined) results.push({ what: "audit", isTaken: await audit.reopen() });
  if (readSettings !== undefined) {
    results.push({
      what: "settings",
      isTaken: takeSettings(running, { ...modules, readSettings }),
    });
  }
  if (results.length === 0) {
    log.info({}, "nothing to reload: no policy, no certificate and no settings file is configured");
    return;
  }
  const named = (isTaken: boolean) =>
    results.filter((each) => each.isTaken === isTaken).map(({ what }) => what);
  const failed = named(false);
  audit?.add("act", { act: "reload", by: "SIGHUP", reloaded: named(true), failed });
  if (failed.length === 0) log.info({ reloaded: named(true) }, "reloaded");
  else log.error({ reloaded: named(true), failed }, "not all reloaded; see the lines before");
}

/** Sets the log level, the one setting that can change while the service runs. */
function takeSettings<T extends Settings>(
  running: T,
  { keys, log, readSettings }: ReloadModules<T> & { readSettings: () => T },
): boolean {
  let config: T;
  try {
    config = readSettings();
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    log.error({ cause }, "new settings rejected; the log level stays as it is");
    return false;
  }
  const textOf = (of: T, key: string) =>
    JSON.stringify(Object.entries(of).find(([name]) => name === key));
  const settings = keys.filter(
    (key) => key !== "logLevel" && textOf(config, key) !== textOf(running, key),
  );
  if (settings.length > 0) log.warn({ settings }, "changed settings need a restart");
  log.level = config.logLevel;
  return true;
}
