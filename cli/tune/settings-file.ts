/** The settings file of `tune --write`, whose other settings are kept. */
import { existsSync } from "node:fs";
import { limits } from "../../server/limits.js";
import { fileReason } from "../../server/files/file-reason.js";
import { readFileWithin } from "../../server/files/read-file.js";
import { usageError } from "../io/command.js";
import { parseJson, textOf } from "../io/read-input.js";

/** The settings in the file; none where it is missing. Throws `CommandError` with exit code 2. */
export function mergedSettings(path: string): Record<string, unknown> {
  if (!existsSync(path)) return {};
  const settings = parseJson(textOf(bytesOf(path), path), path);
  if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) {
    return { ...settings };
  }
  throw usageError(`--write ${path} is there and is not a JSON object`, "name another file");
}

function bytesOf(path: string): Uint8Array {
  try {
    return readFileWithin(path, { bytesMax: limits.settingsFileBytesMax, mustBeFile: true });
  } catch (cause) {
    const problem = `cannot read --write ${path}: ${fileReason(cause, path)}`;
    throw usageError(problem, "name another file", cause);
  }
}
