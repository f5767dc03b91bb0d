/** Reads a JSON file of the service by its schema; errors name the file, the place and the cause. */
import type { z } from "zod";
import { fileReason } from "./file-reason.js";
import { decodeText, JsonError, parseJsonText } from "../json/json-text.js";
import { readFileWithin } from "./read-file.js";
import { placeOf, safeParse } from "../json/safe-parse.js";

/** The value in the file, of at most `bytesMax`. Throws `Error` when it cannot be read or is not as the schema says. */
export function readJsonFile<T>(path: string, bytesMax: number, schema: z.ZodType<T>): T {
  let bytes: Uint8Array;
  try {
    bytes = readFileWithin(path, { bytesMax, mustBeFile: true });
  } catch (cause) {
    throw new Error(`cannot read ${path}: ${fileReason(cause, path)}`, { cause });
  }
  try {
    return valueIn(decodeText(bytes), schema);
  } catch (cause) {
    if (cause instanceof JsonError) throw new Error(`${path} ${cause.message}`, { cause });
    throw cause;
  }
}

/** The value in a JSON text. Throws `JsonError`; its message continues the name of the file. */
export function valueIn<T>(text: string, schema: z.ZodType<T>): T {
  const parsed = safeParse(schema, parseJsonText(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys : [];
  const path = [...(issue?.path ?? []), ...unknown.slice(0, 1)];
  const detail = unknown.length > 0 ? "there is no such key" : (issue?.message ?? "");
  const place = placeOf(path);
  throw new JsonError(
    "",
    place === "" ? `is invalid: ${detail}` : `is invalid at ${place}: ${detail}`,
  );
}
