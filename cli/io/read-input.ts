/** Reads the input of a command, a file or standard input, as bytes, JSON or a message. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { fileReason } from "../../server/files/file-reason.js";
import { messageFromJson as readMessageFromJson } from "../../server/json/json-message.js";
import { decodeText, JsonError, parseJsonText } from "../../server/json/json-text.js";
import { limits } from "../../server/limits.js";
import { readFileWithin } from "../../server/files/read-file.js";
import type { Terminal } from "./command.js";
import { usageError } from "./command.js";

/** The file name that stands for standard input, which is read as JSON. */
const STDIN = "-";

const INPUT = { bytesMax: limits.inputFileBytesMax, mustBeFile: false };

export const nameOf = (file: string) => (file === STDIN ? "standard input" : file);

/** Reads a file or standard input. Rejects with a usage error (exit code 2) when it cannot. */
export async function readInput(file: string, terminal: Terminal): Promise<Uint8Array> {
  try {
    return file === STDIN ? await terminal.readStdin() : readFileWithin(file, INPUT);
  } catch (cause) {
    const problem = `cannot read ${nameOf(file)}: ${fileReason(cause, file)}`;
    throw usageError(problem, "check the file's name and permissions", cause);
  }
}

/** Parses JSON. Throws a usage error with line and column where the text is not JSON. */
export function parseJson(text: string, file: string): unknown {
  return orUsageError(file, () => parseJsonText(text));
}

/**
 * Converts JSON to a message; bytes are base64, or hex after `0x`. Throws a usage error that names
 * the invalid field.
 */
export function messageFromJson<D extends DescMessage>(
  schema: D,
  json: unknown,
  file: string,
): MessageShape<D> {
  return orUsageError(file, () => readMessageFromJson(schema, json, "hex"));
}

/** The text of an input. Throws a usage error when it is not UTF-8. */
export function textOf(bytes: Uint8Array, file: string): string {
  return orUsageError(file, () => decodeText(bytes));
}

function orUsageError<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause;
    const where = cause.place === "" ? "" : `: ${cause.place}:`;
    const todo = cause.place === "" ? "fix the text there" : "fix that field";
    throw usageError(`${nameOf(file)}${where} ${cause.detail}`, todo, cause);
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
    : messageFromJson(schema, parseJson(textOf(bytes, file), file), file);
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
    const problem = `${file} is not a ${schema.name} in binary: its bytes are of another kind, or cut`;
    throw usageError(problem, "write it again, or give JSON a name without .bin", cause);
  }
}
