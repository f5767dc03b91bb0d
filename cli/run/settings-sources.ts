/**
 * How a command that runs in the foreground reads its settings. A flag wins over its environment
 * variable, a variable over the file of `--config`, the file over the default. All errors are
 * reported at once, each under the name that the user typed.
 */
import { statSync } from "node:fs";
import { Option } from "commander";
import { ConfigError, problemText } from "../../server/config/config-error.js";
import {
  jsonWithoutPasswords,
  settingsIn,
  variableOf,
  withoutPasswords,
} from "../../server/config/parse.js";
import { fileReason } from "../../server/files/file-reason.js";
import { limits } from "../../server/limits.js";
import { readFileWithin } from "../../server/files/read-file.js";
import { usageError } from "../io/command.js";
import { parseJson, textOf } from "../io/read-input.js";

/** A setting's flag, its help, and the values that it takes if they are few. */
export type SettingHelp = readonly [
  flags: string,
  description: string,
  choices?: readonly string[],
];

/** The settings of one command. */
export interface CommandSettings<T> {
  /** Name of the command, such as "serve". */
  readonly command: string;
  /** Names of its settings. */
  readonly keys: readonly string[];
  readonly help: readonly SettingHelp[];
  /** The defaults as the help shows them. */
  shownDefaults(): Readonly<Record<string, unknown>>;
  /** Merges sources, of which a later one wins, and checks them. Throws `ConfigError`. */
  parse(sources: readonly Readonly<Record<string, unknown>>[]): T;
  /** Returns the text of an error for each variable of the environment that no command reads. */
  unknownIn(env: SettingSources["env"]): readonly string[];
}

/** A flag for each setting, and --config. */
export function settingsOptions({ help, shownDefaults }: CommandSettings<unknown>): Option[] {
  const defaults = shownDefaults();
  const options = help.map(([flags, description, choices]) => {
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

/** Whether the settings can be read again: a pipe can be read only once, and without a file nothing changes. */
export function canReadAgain({ file }: SettingSources): boolean {
  return file !== undefined && statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/** Reads the settings from all sources. Throws `CommandError` with exit code 2 and all errors. */
export function readFrom<T>(of: CommandSettings<T>, sources: SettingSources): T {
  return readWithOrigins(of, sources).config;
}

/** A setting that is in force. */
export interface SettingInForce {
  key: string;
  /** As the user gave it, or the default as the help shows it. */
  value: string;
  /** The flag, the variable or the file that gave it; "default" for none. */
  from: string;
}

/** Like `readFrom`; also returns every setting with its value and where that comes from. */
export function readWithOrigins<T>(
  of: CommandSettings<T>,
  sources: SettingSources,
): { config: T; inForce: SettingInForce[] } {
  const inFile = sources.file === undefined ? {} : readSettingsFile(sources.file);
  const config = parseAll(of, sources, inFile);
  const defaults = of.shownDefaults();
  const inForce = of.keys.map((key): SettingInForce => {
    const { flags, env, file } = sources;
    const variable = variableOf(key);
    if (flags[key] !== undefined) return { key, value: textOfValue(flags[key]), from: flagOf(key) };
    if (env[variable] !== undefined)
      return { key, value: textOfValue(env[variable]), from: variable };
    if (Object.hasOwn(inFile, key))
      return { key, value: textOfValue(inFile[key]), from: file ?? "" };
    return { key, value: textOfValue(defaults[key] ?? ""), from: "default" };
  });
  return { config, inForce };
}

function parseAll<T>(
  of: CommandSettings<T>,
  sources: SettingSources,
  inFile: Readonly<Record<string, unknown>>,
): T {
  const { flags, env } = sources;
  // An error, as in a file: a misspelt policy would leave the service open to every caller.
  const unknown = of.unknownIn(env);
  try {
    const config = of.parse([inFile, settingsIn(env, of.keys), flags]);
    if (unknown.length > 0) throw errorOf(of, new ConfigError([]), sources, unknown);
    return config;
  } catch (error) {
    throw error instanceof ConfigError ? errorOf(of, error, sources, unknown) : error;
  }
}

/** The name of a setting as this user gives it: a flag, a variable, or a key of the file. */
export function userNameIn(
  { keys }: Pick<CommandSettings<unknown>, "keys">,
  { flags, env, file }: SettingSources,
) {
  const isFlag = (key: string) => flags[key] !== undefined;
  const isVariable = (key: string) => env[variableOf(key)] !== undefined;
  // A missing setting is named as a variable if the user sets others by variables, not by flags.
  const wantsVariable = !keys.some(isFlag) && keys.some(isVariable);
  return (key: string) => {
    if (!keys.includes(key)) return undefined;
    if (isFlag(key)) return flagOf(key);
    if (isVariable(key)) return variableOf(key);
    if (file !== undefined) return key;
    return wantsVariable ? variableOf(key) : flagOf(key);
  };
}

/** Makes the error to report for wrong settings: each has the name that the user typed. */
export function errorOf(
  of: CommandSettings<unknown>,
  error: ConfigError,
  sources: SettingSources,
  unknown: readonly string[] = [],
) {
  const { flags, env, file } = sources;
  const nameOf = userNameIn(of, sources);
  const lines = error.problems.map((problem) => {
    const { key } = problem;
    const isElsewhere = flags[key] !== undefined || env[variableOf(key)] !== undefined;
    const source = file === undefined || isElsewhere ? "" : `${file}: `;
    return `\n  ${source}${problemText(problem, nameOf)}`;
  });
  const wrong = [...new Set(lines), ...unknown.map((text) => `\n  ${text}`)];
  return usageError(
    `invalid settings: ${wrong.length} ${wrong.length === 1 ? "error" : "errors"}`,
    `see 'lean-aggregator ${of.command} --help'${wrong.join("")}`,
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

/** A value on one line; a URL without its password. */
function textOfValue(value: unknown): string {
  if (typeof value === "string") return withoutPasswords(value) || "none";
  const isList = Array.isArray(value) && value.every((each) => typeof each === "string");
  return isList ? value.map(withoutPasswords).join(",") || "none" : jsonWithoutPasswords(value);
}

/** The flag of a setting: `--deadline-ms` for `deadlineMs`. */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, "-$&").toLowerCase()}`;
}
