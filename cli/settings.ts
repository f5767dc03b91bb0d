/**
 * The settings of `serve` and `doctor`: their flags, and how they are read. A flag wins over its
 * environment variable, a variable over the file of `--config`, the file over the default. All
 * errors are reported at once, each under the name that the user typed.
 */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { Option } from "commander";
import type { Config } from "../server/config.js";
import { ConfigError, problemText } from "../server/config-error.js";
import { checkPlaces } from "../server/config-places.js";
import { configFromEnvironment, parseConfig, settingKeys, variableOf } from "../server/config.js";
import { usageError } from "./io/command.js";
import { parseJson, reasonOf } from "./io/read-input.js";

/** Adds a flag for each setting, and --config. */
export function addSettingsOptions(command: Command): Command {
  for (const option of settingsOptions()) command.addOption(option);
  return command;
}

function settingsOptions(): Option[] {
  const config = parseConfig();
  const defaults: Record<string, unknown> = {
    ...config,
    devices: config.devices.map(({ id }) => id),
    socketMode: `0${config.socketMode.toString(8)}`,
  };
  const setting = (flags: string, description: string) => {
    const option = new Option(flags);
    const key = option.attributeName();
    const from = `(default: ${String(defaults[key] ?? "") || "none"}, env: ${variableOf(key)})`;
    option.description = `${description} ${from}`;
    return option;
  };
  return [
    new Option("--config <file>", "settings in a JSON file; flags and variables win over it"),
    setting(
      "--listen <addresses>",
      "for nodes (gRPC, gRPC-Web, Connect, JSON): host:port or unix:/path, separated by commas",
    ),
    setting("--admin <address>", "for 'lean-aggregator admin', this machine only; or \"off\""),
    setting(
      "--probes <address>",
      '/metrics, /livez and /readyz in plain HTTP, for every caller; or "off"',
    ),
    setting(
      "--allowed-hosts <names>",
      "names by which browsers and proxies may call loopback addresses, besides localhost",
    ),
    setting("--tls-certificate <file>", "PEM file of the certificate for TLS on TCP addresses"),
    setting("--tls-key <file>", "PEM file of the private key of that certificate"),
    setting("--tls-client-ca <file>", "PEM file of the authority that signs client certificates"),
    setting(
      "--insecure-plaintext-on-network",
      "serve other machines without TLS: anyone on the way can read and change everything",
    ),
    setting("--socket-mode <octal>", "permissions of Unix sockets: users who may write may call"),
    setting("--socket-group <group>", "group of Unix sockets, a name or a number"),
    setting("--policy <file>", "JSON file that says who may do what, see below"),
    setting("--prover <name>", "lean_pq proves; fake simulates, and marks its results").choices([
      ...["lean_pq", "fake"],
    ]),
    setting("--devices <devices>", "devices to prove on: names, or a JSON list, see below"),
    setting("--standby <count>", "standby provers of each device, to verify and take over").choices(
      [...["auto", "0", "1"]],
    ),
    setting("--prover-memory-mb <mb>", "replace a prover between proofs when it holds more"),
    setting(
      "--runtime-dir <folder>",
      "folder of device locks, which hold between services with the same folder, see below",
    ),
    setting("--state-dir <folder>", "folder of the costs that devices learned, see below"),
    setting("--deadline-ms <ms>", "deadline of requests that name none: no proof starts later"),
    setting("--fence-ms <ms>", "fence of requests that name none: running proofs are killed"),
    setting("--drain-ms <ms>", "time for running proofs at shutdown"),
    setting("--log-level <level>", "lowest level to log").choices([
      ...["debug", "info", "warn", "error", "silent"],
    ]),
  ];
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
  try {
    const config = parseConfig(inFile, configFromEnvironment(env), flags);
    checkPlaces(config);
    return config;
  } catch (error) {
    throw error instanceof ConfigError ? settingsError(error, sources) : error;
  }
}

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
export function settingsError(error: ConfigError, sources: SettingSources) {
  const { flags, env, file } = sources;
  const nameOf = userNameOf(sources);
  const lines = error.problems.map((problem) => {
    const { key } = problem;
    const isElsewhere = flags[key] !== undefined || env[variableOf(key)] !== undefined;
    const source = file === undefined || isElsewhere ? "" : `${file}: `;
    return `\n  ${source}${problemText(problem, nameOf)}`;
  });
  const wrong = [...new Set(lines)];
  return usageError(
    `invalid settings: ${wrong.length} ${wrong.length === 1 ? "error" : "errors"}`,
    `see 'lean-aggregator serve --help'${wrong.join("")}`,
    error,
  );
}

function readSettingsFile(file: string): Record<string, unknown> {
  const settings = parseJson(readText(file), file);
  if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) {
    return { ...settings };
  }
  throw usageError(`--config ${file} is not a JSON object`, 'write it as {"deadlineMs": 750}');
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const problem = `cannot read --config ${file}: ${reasonOf(cause)}`;
    throw usageError(problem, "check the file's name and permissions", cause);
  }
}

/** The flag of a setting: `--deadline-ms` for `deadlineMs`. */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, "-$&").toLowerCase()}`;
}
