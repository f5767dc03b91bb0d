/** Reads the input of a command, a file or standard input, as bytes, JSON or a message. */
import { readFile } from "node:fs/promises";
import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, fromJson } from "@bufbuild/protobuf";
import type { Terminal } from "./command.js";
import { usageError } from "./command.js";

/** Names standard input, which is read as JSON. */
const STDIN = "-";

export const nameOf = (file: string) => (file === STDIN ? "standard input" : file);

/** The bytes of a file or of standard input. Throws a usage error when they cannot be read. */
export async function readInput(file: string, terminal: Terminal): Promise<Uint8Array> {
  try {
    return file === STDIN ? await terminal.readStdin() : await readFile(file);
  } catch (cause) {
    const problem = `cannot read ${nameOf(file)}: ${reasonOf(cause)}`;
    throw usageError(problem, "check the file's name and permissions", cause);
  }
}

/** Throws a usage error that says where the text stops being JSON. */
export function parseJson(text: string, file: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    const problem = `${nameOf(file)} is not JSON${placeOf(cause, text)}: ${messageOf(cause)}`;
    throw usageError(problem, "fix the text there", cause);
  }
}

/** Throws a usage error that names the field. */
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

/** A message from JSON, or from its binary form if the file's name ends in `.bin`. */
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

/** Throws a usage error when the bytes are not the binary form of the message. */
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

/** ` at line L column C`, or nothing where the engine's message has no "position N". */
function placeOf(error: unknown, text: string): string {
  const position = /\bposition (\d+)/.exec(messageOf(error))?.[1];
  if (position === undefined) return "";
  const lines = text.slice(0, Number(position)).split("\n");
  return ` at line ${lines.length} column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

/** `no such file or directory` of `ENOENT: no such file or directory, open 'x'`. */
export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/^[A-Z]+: |, \w+( '.*')?$/g, "");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
