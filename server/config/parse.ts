/**
 * Reads settings from flags, variables and a file: a later source wins. All errors are reported at
 * once, each with the value and what was expected.
 */
import type { z } from "zod";
import { ConfigError } from "./config-error.js";
import type { Problem } from "./config-error.js";
import { placeOf, safeParse } from "../json/safe-parse.js";

/** Most characters of a value that an error quotes. */
const VALUE_LENGTH_MAX = 100;
/** Merges the sources, of which a later one wins. Throws `ConfigError` with every error. */
export function parseSettings<T>(
  schema: z.ZodType<T>,
  sources: readonly Record<string, unknown>[],
): T {
  // Not by assignment: a key "__proto__" in a file would set the prototype of the whole.
  const given = sources.flatMap((source) => Object.entries(withoutUndefined(source)));
  const merged: Record<string, unknown> = Object.fromEntries(given);
  const parsed = safeParse(schema, merged);
  if (!parsed.success) {
    throw new ConfigError(parsed.error.issues.flatMap((issue) => problemsOf(issue, merged)));
  }
  return parsed.data;
}

function problemsOf(issue: z.core.$ZodIssue, merged: Record<string, unknown>): Problem[] {
  const [root, ...below] = issue.path;
  if (issue.code === "unrecognized_keys") {
    const within: unknown = root === undefined ? merged : issue.input;
    return issue.keys.map((name) => {
      const path = [...issue.path, name];
      const value = typeof within === "object" && within !== null ? Reflect.get(within, name) : "";
      const text = `is ${shown(value)}: there is no such setting`;
      return { key: String(path[0]), place: placeIn(path.slice(1)), text };
    });
  }
  const key = String(root ?? "the settings");
  // When a list was given as one text, the user knows no index: the quoted part is enough.
  const isPart = typeof merged[key] === "string" && below.length === 1;
  // A comma of a password has cut its URL into parts: the whole is shown without it.
  const isWhole = below.length === 0 || (isPart && String(merged[key]).includes("@"));
  const value = isWhole ? merged[key] : issue.input;
  const is = value === undefined ? "is not given" : `is ${shown(value)}`;
  return [{ key, place: isPart ? "" : placeIn(below), text: `${is}: ${issue.message}` }];
}

/** The place after the setting's name: `.slot`, `[0].cores`; empty for the whole value. */
function placeIn(path: readonly PropertyKey[]): string {
  const place = placeOf(path);
  return place === "" || place.startsWith("[") ? place : `.${place}`;
}

/** The value as JSON, cut to `VALUE_LENGTH_MAX` characters, without the password of a URL. */
function shown(value: unknown): string {
  const text = jsonWithoutPasswords(value);
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}

/** The value as JSON, each text in it without passwords. */
export function jsonWithoutPasswords(value: unknown): string {
  const shownOf = (_key: string, each: unknown) =>
    typeof each === "string" ? withoutPasswords(each) : each;
  return JSON.stringify(value, shownOf) ?? String(value);
}

/**
 * The text, without what may be users and passwords of URLs: nothing from the first `://` to the
 * last `@`, as a password may have every character.
 */
export function withoutPasswords(text: string): string {
  const from = text.indexOf("://");
  const to = text.lastIndexOf("@");
  return from < 0 || to < from ? text : `${text.slice(0, from)}://…${text.slice(to)}`;
}

/** The environment variable of a setting: `LEAN_AGGREGATOR_DEADLINE_MS` for `deadlineMs`. */
export function variableOf(key: string): string {
  return `LEAN_AGGREGATOR_${key.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/** The settings in environment variables, undefined where not set: a source for `parseSettings`. */
export function settingsIn(
  env: Readonly<Record<string, string | undefined>>,
  keys: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, env[variableOf(key)]]));
}

function withoutUndefined(source: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined));
}
