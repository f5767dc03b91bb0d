/** zod's `safeParse` with plain words: no message of the library's own reaches a user. */
import { z } from "zod";

export type Parsed<T> =
  { success: true; data: T; error?: never } | { success: false; data?: never; error: z.ZodError };

/**
 * Parses `value`. The issues of a failure carry their input, and a message of the schema or, where it
 * has none, one that says what was expected.
 *
 * zod compares the `length` of any value that has one, and throws when that cannot be compared:
 * `{"length": [{"toString": 1}]}`. Such a value is reported as any other wrong one.
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

/** What was expected, for an issue whose schema does not say it. */
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

/** `a, b or c`. */
export function alternatives(names: readonly string[]): string {
  return names.length < 2
    ? names.join("")
    : `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`;
}

/** Where a value lies: `principals[2].tokens[0]`; empty for the whole. */
export function placeOf(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`));
  return parts.join("").replace(/^\./, "");
}
