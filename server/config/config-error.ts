/** Errors of settings: each names its setting, so that it is shown under the name that the user typed. */

/** One error of the settings. */
export interface Problem {
  /** Name of the setting, as in a settings file. */
  key: string;
  /** Place inside the setting's value, such as `[0].cores`. Default: the whole value. */
  place?: string;
  /** What is wrong and what to do. `{tlsKey}` stands for the user's name of that setting. */
  text: string;
}

/** The message of a problem. @param nameOf returns the user's name of a setting, such as a flag */
export function problemText(
  { key, place = "", text }: Problem,
  nameOf: (key: string) => string | undefined = (name) => name,
): string {
  const named = text.replaceAll(/\{(\w+)\}/g, (braced, name: string) => nameOf(name) ?? braced);
  return `${nameOf(key) ?? key}${place} ${named}`;
}

/** All errors of the settings; the message has a line for each. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map((problem) => problemText(problem)).join("\n"));
  }
}
