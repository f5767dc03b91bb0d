/** Reads a number that somebody typed: a wrong one is an error, instead of a run of nothing. Pure. */

/**
 * Throws when the text is no whole number, or is below the least.
 *
 * @param said how the error begins: what has which value, under the name that the user typed
 */
export function wholeNumber(text: string, least: number, said: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= least) return value;
  throw new Error(`${said}, expected a whole number from ${least}`);
}

/** That of a variable; one without a value has the default. */
export function wholeNumberOf(
  env: Readonly<Record<string, string | undefined>>,
  name: string,
  byDefault: number,
  least = 1,
): number {
  const text = env[name] ?? String(byDefault);
  return wholeNumber(text, least, `${name} is ${JSON.stringify(text)}`);
}
