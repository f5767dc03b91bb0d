/** The settings of `serve` and `doctor`: their flags, and how they are read. */
import { Command } from "commander";
import type { Config } from "../../server/config/config.js";
import type { ConfigError } from "../../server/config/config-error.js";
import { variableOf } from "../../server/config/parse.js";
import { checkPlaces } from "../../server/config/places.js";
import { proveSettingKeys } from "../../server/config/prove-config.js";
import { parseConfig, settingKeys } from "../../server/config/config.js";
import { logLevels } from "../../server/log/log.js";
import { DEVICE_SETTINGS, ENGINE_SETTINGS, VERIFY_SETTING } from "./device-settings.js";
import { addConnectOptions } from "../io/connect.js";
import { unknownVariables } from "../io/environment.js";
import type { CommandSettings, SettingHelp, SettingSources } from "./settings-sources.js";
import { errorOf, readFrom, settingsOptions, userNameIn } from "./settings-sources.js";

const SETTINGS: readonly SettingHelp[] = [
  [
    "--listen <addresses>",
    "for nodes (gRPC, gRPC-Web, Connect, JSON): host:port or unix:/path, separated by commas",
  ],
  ["--admin <address>", "for 'lean-aggregator admin', this machine only; or \"off\""],
  ["--probes <address>", '/metrics, /livez and /readyz in plain HTTP, for every caller; or "off"'],
  [
    "--allowed-hosts <names>",
    "names by which browsers and proxies may call loopback addresses, besides localhost",
  ],
  ["--tls-certificate <file>", "PEM file of the certificate for TLS on TCP addresses"],
  ["--tls-key <file>", "PEM file of the private key of that certificate"],
  ["--tls-client-ca <file>", "PEM file of the authority that signs client certificates"],
  [
    "--insecure-plaintext-on-network",
    "serve other machines, or use their engine, without TLS: all on the way can read and change all",
  ],
  ["--socket-mode <octal>", "permissions of Unix sockets: users who may write may call"],
  ["--socket-group <group>", "group of Unix sockets, a name or a number"],
  ["--policy <file>", "JSON file that says who may do what, see below"],
  ...DEVICE_SETTINGS,
  ...ENGINE_SETTINGS,
  VERIFY_SETTING,
  ["--proof-system <name>", "scheme, or scheme and revision, of requests that name none"],
  ["--upgrade <json>", "the next revision of that, and from which slot it is the default"],
  ["--service-id <id>", "names the service over all its runs, as a pod's name does"],
  ["--deadline-ms <ms>", "deadline of requests that name none: no proof starts later"],
  ["--fence-ms <ms>", "fence of requests that name none: running proofs are killed"],
  ["--audit <file>", "add a line there for each session, skipped snapshot and act of an operator"],
  ["--otlp <url>", "export traces to this collector of OpenTelemetry, by OTLP over HTTP"],
  ["--otlp-headers <file>", "JSON file of headers for the collector, such as its token"],
  [
    "--otlp-ratio <n>",
    "share of snapshots that are traced, of those without a caller's trace: 0 to 1",
  ],
  ["--record <folder>", "record requests and outcomes there, for 'lean-aggregator replay'"],
  ["--record-mb <n>", "most megabytes of a recording; then its oldest file goes"],
  [
    "--record-content <what>",
    "full: requests as they came; shapes: without public keys, signatures and proofs",
    ["full", "shapes"],
  ],
  ["--drain-ms <ms>", "time for running proofs at shutdown"],
  ["--log-level <level>", "lowest level to log", logLevels],
];

/** The settings of `serve`, and of `doctor`, which checks the machine for them. */
export const serveSettings: CommandSettings<Config> = {
  command: "serve",
  keys: settingKeys,
  help: SETTINGS,
  shownDefaults: () => {
    const config = parseConfig();
    return {
      ...config,
      devices: config.devices.map(({ id }) => id),
      socketMode: `0${config.socketMode.toString(8)}`,
      fakeAccepts: "own",
      fakeTime: "200",
      fakeSeed: "1",
      fakeLimits: "none",
      runtimeDir: "see below",
      stateDir: "see below",
      engineCa: "those of Node.js",
      serviceId: "kept in the state folder",
      proofSystem: "the first device's",
    };
  },
  parse: (sources) => {
    const config = parseConfig(...sources);
    checkPlaces(config);
    return config;
  },
  // An error, as in a file: a misspelt policy would leave the service open to every caller.
  unknownIn: (env) => unknownVariables(env, knownVariables),
};

/** Adds a flag for each setting, and --config. */
export function addSettingsOptions(command: Command): Command {
  for (const option of settingsOptions(serveSettings)) command.addOption(option);
  return command;
}

/** Reads the settings from all sources. Throws `CommandError` with exit code 2 and all errors. */
export function readSettings(sources: SettingSources): Config {
  return readFrom(serveSettings, sources);
}

/** All environment variables that a command reads: several may run in one environment. */
export const knownVariables: readonly string[] = [
  ...new Set([...settingKeys, ...proveSettingKeys].map(variableOf)),
  ...addConnectOptions(new Command()).options.flatMap(({ envVar }) => envVar ?? []),
];

/** The name of a setting as this user gives it: a flag, a variable, or a key of the file. */
export function userNameOf(sources: SettingSources) {
  return userNameIn(serveSettings, sources);
}

/** Makes the error to report for wrong settings: each has the name that the user typed. */
export function settingsError(error: ConfigError, sources: SettingSources) {
  return errorOf(serveSettings, error, sources);
}
