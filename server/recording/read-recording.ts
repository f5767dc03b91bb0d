/**
 * Reads a recording, which anybody may have made: every record is checked, and nothing in it is
 * trusted. A file that ends within a record, as after a kill, is read up to that record.
 */
import { lstatSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import type { StreamActivityResponse } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { StreamActivityResponseSchema } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type { SubmitSnapshotRequest } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fileReason } from "../files/file-reason.js";
import { safeParse, placeOf } from "../json/safe-parse.js";
import { limits } from "../limits.js";
import type {
  ActivityRecord,
  LostRecord,
  OutcomeRecord,
  Recording,
  SubmissionRecord,
} from "./records.js";
import { recordingFile, recordSchema } from "./records.js";

/** A snapshot as recorded, with its request. */
export interface RecordedSubmission extends SubmissionRecord {
  request: SubmitSnapshotRequest;
}

/** What the live page was shown. */
export interface RecordedAnswer extends ActivityRecord {
  answer: StreamActivityResponse;
}

export type ReadRecord =
  Recording | RecordedSubmission | RecordedAnswer | OutcomeRecord | LostRecord;

/** Says which file is wrong, where, and why. */
export class RecordingError extends Error {
  override readonly name = "RecordingError";
}

const NEWLINE = 0x0a;
const LINE_BYTES_MAX = 64 * 1024;

/**
 * Yields the records of all files of the folder, in the order in which they were written. Throws
 * `RecordingError` when the folder has no recording, cannot be read, or has a wrong record.
 */
export function* readRecording(folder: string): Generator<ReadRecord, void, undefined> {
  const names = orError(folder, () => readdirSync(folder))
    .filter((name) => recordingFile.test(name))
    .sort();
  if (names.length === 0)
    throw new RecordingError(`${folder} has no recording: no file like 00000001.rec`);
  for (const name of names) yield* readFile(join(folder, name));
}

function* readFile(path: string): Generator<ReadRecord, void, undefined> {
  const bytes = orError(path, () => {
    const { size } = lstatSync(path);
    if (!lstatSync(path).isFile()) throw new RecordingError(`${path} is no file`);
    if (size > limits.recordFileBytesMax) {
      throw new RecordingError(`${path} has ${size} bytes, at most ${limits.recordFileBytesMax}`);
    }
    return readFileSync(path);
  });
  let at = 0;
  while (at < bytes.length) {
    const end = bytes.indexOf(NEWLINE, at);
    if (end < 0) return;
    const record = lineAt(path, bytes, at, end);
    if (at === 0 && record.kind !== "recording") {
      throw new RecordingError(`${path} is no recording: its first record is a ${record.kind}`);
    }
    if (!("bytes" in record)) {
      yield record;
      at = end + 1;
      continue;
    }
    const bodyEnd = end + 1 + record.bytes;
    if (bodyEnd >= bytes.length) return;
    if (bytes[bodyEnd] !== NEWLINE) throw wrong(path, at, "its bytes do not end where it says");
    const body = { path, at, bytes: bytes.subarray(end + 1, bodyEnd) };
    yield record.kind === "submission"
      ? { ...record, request: messageOf(SubmitSnapshotRequestSchema, body) }
      : { ...record, answer: messageOf(StreamActivityResponseSchema, body) };
    at = bodyEnd + 1;
  }
}

function lineAt(path: string, bytes: Buffer, at: number, end: number) {
  if (end - at > LINE_BYTES_MAX) throw wrong(path, at, `its line has ${end - at} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8", at, end));
  } catch {
    throw wrong(path, at, "its line is not JSON");
  }
  const parsed = safeParse(recordSchema, value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = placeOf(issue?.path ?? []);
  throw wrong(path, at, `${place === "" ? "" : `${place}: `}${issue?.message ?? "it is wrong"}`);
}

/** The message that follows the record at byte `at`. */
function messageOf<D extends DescMessage>(
  schema: D,
  { path, at, bytes }: { path: string; at: number; bytes: Buffer },
): MessageShape<D> {
  try {
    // A view that is no Buffer, whose `slice` copies.
    return fromBinary(schema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    throw wrong(path, at, `its bytes are not a ${schema.name}`);
  }
}

function wrong(path: string, at: number, why: string): RecordingError {
  return new RecordingError(`${path}: the record at byte ${at} is wrong: ${why}`);
}

function orError<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RecordingError) throw error;
    throw new RecordingError(`cannot read ${path}: ${fileReason(error, path)}`, { cause: error });
  }
}
