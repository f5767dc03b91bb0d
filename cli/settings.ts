/**
 * The settings of `serve` and `doctor`: their flags, and how they are read. A flag wins over its
 * environment variable, a variable over the file of `--config`, the file over the default. All
 * errors are reported at once, each under the name that the user typed.
 */
import { Command, Option } from "commander";
import type { Config } from "../server/config.js";
import { ConfigError, problemText } from "../server/config-error.js";
import { checkPlaces } from "../server/config-places.js";
import { configFromEnvironment, parseConfig, settingKeys, variableOf } from "../server/config.js";
import { limits } from "../server/limits.js";
import { logLevels } from "../server/log.js";
import { readFileWithin } from "../server/read-file.js";
import { usageError } from "./io/command.js";
import { addConnectOptions } from "./io/connect.js";
import { unknownVariables } from "./io/environment.js";
import { fileReason } from "../server/file-reason.js";
import { parseJson, textOf } from "./io/read-input.js";

/** Adds a flag for each setting, and --config. */
export function addSettingsOptions(command: Command): Command {
  for (const option of settingsOptions()) command.addOption(option);
  return command;
}

/** A setting's flag, its help, and the values that it takes if they are few. */
type SettingHelp = readonly [flags: string, description: string, choices?: readonly string[]];

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
  ["--prover <name>", "lean_pq proves; fake simulates, and marks its results", ["lean_pq", "fake"]],
  [
    "--fake-accepts <inputs>",
    "keys and signatures that the fake prover takes: its own form, or any size unchecked",
    ["own", "any"],
  ],
  [
    "--fake-time <ms>",
    "time of a simulated proof: 200, 100-900 (random) or 100+4/raw+60/child (for each input)",
  ],
  ["--fake-seed <number>", "seed of random times: the same seed, the same times"],
  [
    "--fake-failures <list>",
    "simulated proofs that fail: error:10,death:25,hang:40 is every 10th, 25th and 40th",
  ],
  ["--devices <devices>", "devices to prove on: names, or a JSON list, see below"],
  [
    "--standby <count>",
    "standby provers of each device, to verify and take over",
    ["auto", "0", "1"],
  ],
  ["--prover-memory-mb <mb>", "replace a prover between proofs when it holds more"],
  [
    "--runtime-dir <folder>",
    "folder of device locks, which hold between services with the same folder",
  ],
  ["--state-dir <folder>", "folder of learned costs and of the service's id"],
  ["--service-id <id>", "names the service over all its runs, as a pod's name does"],
  [
    "--engine <urls>",
    "servers of NATS to share lane hosts by, see below: tls://host:port, by commas",
  ],
  ["--engine-cell <name>", "services and lane hosts of one cell work together"],
  ["--engine-ca <file>", "PEM file of the authority that signs the servers' certificates"],
  [
    "--engine-certificate <file>",
    "PEM file of the certificate by which the servers know this process",
  ],
  ["--engine-key <file>", "PEM file of the private key of that certificate"],
  ["--deadline-ms <ms>", "deadline of requests that name none: no proof starts later"],
  ["--fence-ms <ms>", "fence of requests that name none: running proofs are killed"],
  ["--drain-ms <ms>", "time for running proofs at shutdown"],
  ["--log-level <level>", "lowest level to log", logLevels],
];

function settingsOptions(): Option[] {
  const config = parseConfig();
  const defaults: Record<string, unknown> = {
    ...config,
    devices: config.devices.map(({ id }) => id),
    socketMode: `0${config.socketMode.toString(8)}`,
    fakeAccepts: "own",
    fakeTime: "200",
    fakeSeed: "1",
    runtimeDir: "see below",
    stateDir: "see below",
    serviceId: "kept in the state folder",
    engineCa: "those of Node.js",
  };
  const options = SETTINGS.map(([flags, description, choices]) => {
    const option = new Option(flags);
    const key = option.attributeName();
    const from = `(default: ${String(defaults[key] ?? "") || "none"}, env: ${variableOf(key)})`;
    option.description = `${description} ${from}`;
    return choices === undefined ? option : option.choices(choices);
  });
  const file = new Option(
    "--config <file>",
    "settings in a JSON file; flags and variables win over it",
  );
  return [file, ...options];
}

export interface SettingSources {
  /** Values of flags by setting, such as `deadlineMs`; undefined for a flag that was not given. */
  flags: Readonly<Record<string, unknown>>;
  env: Readonly<Record<string, string | undefined>>;
  /** Path of a file with a JSON object of values by setting; undefined without `--config`. */
  file: string | undefined;
}

/** The sources of a command's settings, from the options that commander parsed. */
export function sourcesOf(
  { config: file, ...flags }: Readonly<Record<string, unknown>>,
  env: SettingSources["env"],
): SettingSources {
  return { flags, env, file: typeof file === "string" ? file : undefined };
}

/** Reads the settings from all sources. Throws `CommandError` with exit code 2 and all errors. */
export function readSettings(sources: SettingSources): Config {
  const { flags, env, file } = sources;
  const inFile = file === undefined ? {} : readSettingsFile(file);
  // An error, as in a file: a misspelt policy would leave the service open to every caller.
  const unknown = unknownVariables(env, knownVariables);
  try {
    const config = parseConfig(inFile, configFromEnvironment(env), flags);
    checkPlaces(config);
    if (unknown.length > 0) throw settingsError(new ConfigError([]), sources, unknown);
    return config;
  } catch (error) {
    throw error instanceof ConfigError ? settingsError(error, sources, unknown) : error;
  }
}

/** All environment variables that a command reads. */
export const knownVariables: readonly string[] = [
  ...settingKeys.map(variableOf),
  ...addConnectOptions(new Command()).options.flatMap(({ envVar }) => envVar ?? []),
];

/** The name of a setting as this user gives it: a flag, a variable, or a key of the file. */
export function userNameOf({ flags, env, file }: SettingSources) {
  const isFlag = (key: string) => flags[key] !== undefined;
  const isVariable = (key: string) => env[variableOf(key)] !== undefined;
  // A missing setting is named as a variable if the user sets others by variables, not by flags.
  const wantsVariable = !settingKeys.some(isFlag) && settingKeys.some(isVariable);
  return (key: string) => {
    if (!settingKeys.includes(key)) return undefined;
    if (isFlag(key)) return flagOf(key);
    if (isVariable(key)) return variableOf(key);
    if (file !== undefined) return key;
    return wantsVariable ? variableOf(key) : flagOf(key);
  };
}

/** Makes the error to report for wrong settings: each has the name that the user typed. */
export function settingsError(
  error: ConfigError,
  sources: SettingSources,
  unknown: readonly string[] = [],
) {
  const { flags, env, file } = sources;
  const nameOf = userNameOf(sources);
  const lines = error.problems.map((problem) => {
    const { key } = problem;
    const isElsewhere = flags[key] !== undefined || env[variableOf(key)] !== undefined;
    const source = file === undefined || isElsewhere ? "" : `${file}: `;
    return `\n  ${source}${problemText(problem, nameOf)}`;
  });
  const wrong = [...new Set(lines), ...unknown.map((text) => `\n  ${text}`)];
  return usageError(
    `invalid settings: ${wrong.length} ${wrong.length === 1 ? "error" : "errors"}`,
    `see 'lean-aggregator serve --help'${wrong.join("")}`,
    error,
  );
}

function readSettingsFile(file: string): Record<string, unknown> {
  const settings = parseJson(textOf(readBytes(file), file), file);
  if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) {
    return { ...settings };
  }
  throw usageError(`--config ${file} is not a JSON object`, 'write it as {"deadlineMs": 750}');
}

function readBytes(file: string): Uint8Array {
  try {
    const options = { bytesMax: limits.settingsFileBytesMax, mustBeFile: false };
    return readFileWithin(file, options);
  } catch (cause) {
    const problem = `cannot read --config ${file}: ${fileReason(cause, file)}`;
    throw usageError(problem, "check the file's name and permissions", cause);
  }
}

/** The flag of a setting: `--deadline-ms` for `deadlineMs`. */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, "-$&").toLowerCase()}`;
}
