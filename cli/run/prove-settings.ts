/** The settings of `prove`: their flags, and how they are read. */
import type { Command } from "commander";
import type { ConfigError } from "../../server/config/config-error.js";
import { logLevels } from "../../server/log/log.js";
import type { ProveConfig } from "../../server/config/prove-config.js";
import {
  parseProveConfig,
  proveDefaults,
  proveSettingKeys,
} from "../../server/config/prove-config.js";
import { DEVICE_SETTINGS, ENGINE_SETTINGS } from "./device-settings.js";
import { unknownVariables } from "../io/environment.js";
import { knownVariables } from "./settings.js";
import type { CommandSettings, SettingHelp, SettingSources } from "./settings-sources.js";
import { errorOf, readFrom, settingsOptions, userNameIn } from "./settings-sources.js";

const SETTINGS: readonly SettingHelp[] = [
  ...ENGINE_SETTINGS,
  ["--host-id <id>", "names this host to services, over all its runs, as a pod's name does"],
  [
    "--insecure-plaintext-on-network",
    "use an engine on other machines without TLS: all on the way can read and change all",
  ],
  ...DEVICE_SETTINGS,
  ["--probes <address>", '/metrics, /livez and /readyz in plain HTTP, for every caller; or "off"'],
  ["--audit <file>", "add a line there for each attempt, verdict and act of an operator"],
  ["--drain-ms <ms>", "time for running proofs at shutdown"],
  ["--log-level <level>", "lowest level to log", logLevels],
];

export const proveSettings: CommandSettings<ProveConfig> = {
  command: "prove",
  keys: proveSettingKeys,
  help: SETTINGS,
  shownDefaults: () => ({
    ...proveDefaults(),
    devices: ["cpu"],
    fakeAccepts: "own",
    fakeTime: "200",
    fakeSeed: "1",
    fakeLimits: "none",
    runtimeDir: "see below",
    stateDir: "see below",
    engineCa: "those of Node.js",
    hostId: "this machine's name",
  }),
  parse: parseProveConfig,
  unknownIn: (env) => unknownVariables(env, knownVariables),
};

/** Adds a flag for each setting, and --config. */
export function addProveOptions(command: Command): Command {
  for (const option of settingsOptions(proveSettings)) command.addOption(option);
  return command;
}

/** Reads the settings from all sources. Throws `CommandError` with exit code 2 and all errors. */
export function readProveSettings(sources: SettingSources): ProveConfig {
  return readFrom(proveSettings, sources);
}

/** Makes the error to report for wrong settings: each has the name that the user typed. */
export function proveSettingsError(error: ConfigError, sources: SettingSources) {
  return errorOf(proveSettings, error, sources);
}

/** The name of a setting as this user gives it: a flag, a variable, or a key of the file. */
export function proveNameOf(sources: SettingSources) {
  return userNameIn(proveSettings, sources);
}
