/** Reads the input of a command, a file or standard input, as bytes, JSON or a message. */
import { readFile } from "node:fs/promises";
import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, fromJson } from "@bufbuild/protobuf";
import type { Terminal } from "./command.js";
import { usageError } from "./command.js";

/** The file name that stands for standard input, which is read as JSON. */
const STDIN = "-";

export const nameOf = (file: string) => (file === STDIN ? "standard input" : file);

/** Reads a file or standard input. Rejects with a usage error (exit code 2) when it cannot. */
export async function readInput(file: string, terminal: Terminal): Promise<Uint8Array> {
  try {
    return file === STDIN ? await terminal.readStdin() : await readFile(file);
  } catch (cause) {
    const problem = `cannot read ${nameOf(file)}: ${reasonOf(cause)}`;
    throw usageError(problem, "check the file's name and permissions", cause);
  }
}

/** Parses JSON. Throws a usage error with line and column where the text is not JSON. */
export function parseJson(text: string, file: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    const problem = `${nameOf(file)} is not JSON${placeOf(cause, text)}: ${messageOf(cause)}`;
    throw usageError(problem, "fix the text there", cause);
  }
}

/** Converts JSON to a message. Throws a usage error that names the invalid field. */
export function messageFromJson<D extends DescMessage>(
  schema: D,
  json: JsonValue,
  file: string,
): MessageShape<D> {
  try {
    return fromJson(schema, json);
  } catch (cause) {
    // A full name such as lean.aggregator.v1.Node is only noise here.
    const why = messageOf(cause).replaceAll(`${schema.file.proto.package}.`, "");
    const problem = `${nameOf(file)} is not a valid ${schema.name}: ${why}`;
    throw usageError(problem, "fix that field", cause);
  }
}

/** Reads a message as JSON, or in binary if the file's name ends in `.bin`. Throws usage errors. */
export async function readMessage<D extends DescMessage>(
  schema: D,
  file: string,
  terminal: Terminal,
): Promise<MessageShape<D>> {
  const bytes = await readInput(file, terminal);
  return file.endsWith(".bin")
    ? messageFromBinary(schema, bytes, file)
    : messageFromJson(schema, parseJson(Buffer.from(bytes).toString(), file), file);
}

/** Decodes a binary message. Throws a usage error when the bytes are not such a message. */
export function messageFromBinary<D extends DescMessage>(
  schema: D,
  bytes: Uint8Array,
  file: string,
): MessageShape<D> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    const problem = `${file} is not a valid binary ${schema.name}: ${messageOf(cause)}`;
    throw usageError(problem, "give JSON a name that does not end in .bin", cause);
  }
}

/** Returns ` at line L column C`, or "" if the error of `JSON.parse` has no "position N". */
function placeOf(error: unknown, text: string): string {
  const position = /\bposition (\d+)/.exec(messageOf(error))?.[1];
  if (position === undefined) return "";
  const lines = text.slice(0, Number(position)).split("\n");
  return ` at line ${lines.length} column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

/** Shortens `ENOENT: no such file or directory, open 'x'` to `no such file or directory`. */
export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/^[A-Z]+: |, \w+( '.*')?$/g, "");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
