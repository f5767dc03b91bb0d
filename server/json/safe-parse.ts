/** zod's `safeParse` with our own messages: none of zod's reaches a user. */
import { z } from "zod";

export type Parsed<T> =
  { success: true; data: T; error?: never } | { success: false; data?: never; error: z.ZodError };

/**
 * Parses `value`; never throws. Each issue of a failure has its input, and the schema's message for
 * it or, if the schema has none, a message that says what was expected.
 *
 * zod compares the `length` of a value with a number, and throws when JavaScript cannot, as with
 * `{"length": [{"toString": 1}]}`. Such a value is reported like any other invalid value.
 */
export function safeParse<T>(schema: z.ZodType<T>, value: unknown): Parsed<T> {
  try {
    return schema.safeParse(value, { error: expectation, reportInput: true });
  } catch {
    const message = "expected a value that can be read";
    return {
      success: false,
      error: new z.ZodError([{ code: "custom", path: [], message, input: value }]),
    };
  }
}

/** The message of an issue whose schema has no message: what was expected. */
function expectation(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `expected ${TYPES[issue.expected] ?? issue.expected}`;
    case "too_small":
      return `expected ${issue.origin === "array" ? "a list of at least" : "at least"} ${issue.minimum}`;
    case "too_big":
      return `expected ${issue.origin === "array" ? "a list of at most" : "at most"} ${issue.maximum}`;
    case "invalid_value":
      return `expected ${alternatives(issue.values.map(String))}`;
    case "invalid_key":
      return issue.issues[0]?.message ?? "expected another name";
    default:
      return "expected another value";
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
};

/** The names as a text: `a, b or c`. */
export function alternatives(names: readonly string[]): string {
  return names.length < 2
    ? names.join("")
    : `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`;
}

/** The path of a value as a text: `principals[2].tokens[0]`; empty for the whole value. */
export function placeOf(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`));
  return parts.join("").replace(/^\./, "");
}
