/** Reads what a command is given: a file or standard input, as JSON or as a message. */
import { readFile } from "node:fs/promises";
import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import { fromBinary, fromJson } from "@bufbuild/protobuf";
import { usageError } from "./command.js";
import type { Terminal } from "./terminal.js";

/** `-` is standard input, which is then taken for JSON. */
const STDIN = "-";

export const nameOf = (file: string) => (file === STDIN ? "standard input" : file);

/** The bytes of a file or of standard input. */
export async function readInput(file: string, terminal: Terminal): Promise<Uint8Array> {
  try {
    return file === STDIN ? await terminal.readStdin() : await readFile(file);
  } catch (cause) {
    throw usageError(
      "cannot read the file",
      `${file} (${reasonOf(cause)})`,
      "check its name",
      cause,
    );
  }
}

/** Throws a usage error that says where the text stops being JSON. */
export function parseJson(text: string, file: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (cause) {
    const where = `${nameOf(file)}${placeOf(cause, text)}`;
    throw usageError(`not JSON: ${messageOf(cause)}`, where, "mend it there", cause);
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
    // The full names of messages are of no use to a person.
    const why = messageOf(cause).replaceAll(`${schema.file.proto.package}.`, "");
    throw usageError(`not a ${schema.name}: ${why}`, nameOf(file), "mend that field", cause);
  }
}

/** A message from JSON, or from its binary form when the file's name ends in `.bin`. */
export async function readMessage<D extends DescMessage>(
  schema: D,
  file: string,
  terminal: Terminal,
): Promise<MessageShape<D>> {
  const bytes = await readInput(file, terminal);
  if (!file.endsWith(".bin")) {
    return messageFromJson(schema, parseJson(Buffer.from(bytes).toString(), file), file);
  }
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw usageError(
      `not a binary ${schema.name}: ${messageOf(cause)}`,
      file,
      "give JSON a name that does not end in .bin",
      cause,
    );
  }
}

/** Of the engine's own "at position N", which it leaves out of some messages. */
function placeOf(error: unknown, text: string): string {
  const position = /\bposition (\d+)/.exec(messageOf(error))?.[1];
  if (position === undefined) return "";
  const lines = text.slice(0, Number(position)).split("\n");
  return ` line ${lines.length} column ${(lines.at(-1)?.length ?? 0) + 1}`;
}

/** Of `ENOENT: no such file or directory, open 'x'`, what the file's name does not say already. */
export function reasonOf(error: unknown): string {
  return messageOf(error).replace(/^[A-Z]+: |, \w+( '.*')?$/g, "");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
