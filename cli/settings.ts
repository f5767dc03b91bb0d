/**
 * The one place where settings are read: a flag wins over its variable, that over the file, that
 * over the default. What is wrong is reported all at once, under the name that the user gave it.
 */
import { readFileSync } from "node:fs";
import { usageError } from "./io/command.js";
import { parseJson, reasonOf } from "./io/read-input.js";
import type { Config, Problem } from "../server/config.js";
import { ConfigError, configFromEnvironment, parseConfig, variableOf } from "../server/config.js";

export interface SettingSources {
  /** By key of the configuration; undefined where the flag was not given. */
  flags: Readonly<Record<string, unknown>>;
  env: Readonly<Record<string, string | undefined>>;
  /** A JSON object by key of the configuration. */
  file: string | undefined;
}

/** Throws `CommandError` with exit code 2. */
export function readSettings(sources: SettingSources): Config {
  const { flags, env, file } = sources;
  const inFile = file === undefined ? {} : readSettingsFile(file);
  try {
    return parseConfig(inFile, configFromEnvironment(env), flags);
  } catch (error) {
    throw error instanceof ConfigError ? settingsError(error, sources) : error;
  }
}

/** The problems under the names that the user knows them by. */
export function settingsError(error: ConfigError, { flags, env, file }: SettingSources) {
  const givenAs = ({ key }: Problem) => {
    if (flags[key] !== undefined) return flagOf(key);
    if (env[variableOf(key)] !== undefined) return variableOf(key);
    return file === undefined ? key : `${file}: ${key}`;
  };
  const lines = error.problems.map((problem) => `\n  ${givenAs(problem)} ${problem.text}`);
  const wrong = [...new Set(lines)];
  const todo = `see 'lean-aggregator serve --help'${wrong.join("")}`;
  return usageError("the settings cannot be used", `${wrong.length} wrong`, todo, error);
}

function readSettingsFile(file: string): Record<string, unknown> {
  const settings = parseJson(readText(file), file);
  if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) {
    return settings;
  }
  throw usageError("settings are not a JSON object", file, 'write them as {"listen": …}');
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const where = `${file} (${reasonOf(cause)})`;
    throw usageError("cannot read the settings", where, "check --config", cause);
  }
}

/** `--deadline-ms` sets `deadlineMs`. */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, "-$&").toLowerCase()}`;
}
