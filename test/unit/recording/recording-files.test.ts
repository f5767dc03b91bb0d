/** A recording's files: bounded, owner-only, read up to a torn end, and never trusted. */
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import type * as Limits from "../../../server/limits.js";
import { readRecording, RecordingError } from "../../../server/recording/read-recording.js";
import { RecordingFiles } from "../../../server/recording/recording-files.js";
import { RECORDING_VERSION } from "../../../server/recording/records.js";
import { Random } from "../../../tools/sim/random.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const FILE_BYTES_MAX = 100_000;
const FILES_MAX = 20;
vi.mock("../../../server/limits.js", async (original) => {
  const real = await original<typeof Limits>();
  const lower = { recordFileBytesMax: 100_000, recordFilesMax: 20 };
  return { ...real, limits: { ...real.limits, ...lower } };
});

const line = (value: object) => Buffer.from(`${JSON.stringify(value)}\n`);
const head = {
  kind: "recording",
  version: RECORDING_VERSION,
  service: "0.1.0",
  run: "00000000000000aa",
  devices: 1,
  content: "full",
};
const lost = (requests: number) => {
  return { kind: "lost", atMs: 1, requests, outcomes: 0, answers: 0 };
};
const submission = (bytes: number) => ({
  kind: "submission",
  atMs: 1,
  principal: "p",
  node: "n",
  requestId: "r",
  answer: "accepted",
  reason: "",
  deadlineMs: 1,
  fenceMs: 1,
  bytes,
});

async function recording(bounds = { bytesMax: 1e7 }, records = [lost(1)]) {
  const folder = join(temporaryFolder(), "recording");
  const files = new RecordingFiles({ folder, ...bounds }, line(head));
  for (const record of records) await files.append(line(record));
  await files.close();
  return folder;
}

const recordsIn = (folder: string) => [...readRecording(folder)];
const fileOf = (folder: string, at = 0) => join(folder, readdirSync(folder).sort()[at] ?? "");

test("folder and files are their owner's alone, whatever the umask", async () => {
  const umask = process.umask(0);
  try {
    const folder = await recording();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(statSync(fileOf(folder)).mode & 0o777).toBe(0o600);
    expect(recordsIn(folder)).toEqual([head, lost(1)]);
  } finally {
    process.umask(umask);
  }
});

/** Sizes of the files, oldest first. */
const sizesIn = (folder: string) =>
  readdirSync(folder)
    .sort()
    .map((name) => statSync(join(folder, name)).size);
const sum = (sizes: readonly number[]) => sizes.reduce((all, size) => all + size, 0);
/** How many records each `lost` of the recording names. */
const kept = (folder: string) =>
  recordsIn(folder).flatMap((each) => (each.kind === "lost" ? each.requests : []));

test("bytes are bounded: the oldest file goes, and a file has an eighth", async () => {
  const bytesMax = 8 * 500;
  const records = Array.from({ length: 100 }, (_, at) => lost(at));
  const folder = await recording({ bytesMax }, records);
  expect(sizesIn(folder)).toHaveLength(8);
  expect(Math.max(...sizesIn(folder))).toBeLessThanOrEqual(500);
  expect(kept(folder).at(-1)).toBe(99);
  const next = new RecordingFiles({ folder, bytesMax }, line(head));
  // No file could hold this one: it is left out.
  expect(await next.append(line(lost(101)), new Uint8Array(500))).toBe(false);
  await next.append(line(lost(100)));
  await next.close();
  expect(sum(sizesIn(folder))).toBeLessThanOrEqual(bytesMax);
  expect(kept(folder).at(-1)).toBe(100);
});

test("restarts with little to record leave a large history, and a lower bound does not", async () => {
  const records = Array.from({ length: 60 }, (_, at) => lost(at));
  const folder = await recording({ bytesMax: 8 * 1000 }, records);
  const before = sizesIn(folder).length;
  const restart = async (bytesMax: number, requests: number) => {
    const files = new RecordingFiles({ folder, bytesMax }, line(head));
    await files.append(line(lost(requests)));
    await files.close();
  };
  for (let run = 0; run < 8; run++) await restart(8 * 1000, 100 + run);
  expect(sizesIn(folder)).toHaveLength(before + 8);
  expect(kept(folder)).toHaveLength(68);
  await restart(8 * 300, 200);
  expect(sum(sizesIn(folder))).toBeLessThanOrEqual(8 * 300);
  expect(kept(folder).slice(-2)).toEqual([107, 200]);
});

test("files are bounded too, however small they are", async () => {
  const folder = await recording();
  for (let run = 0; run < FILES_MAX + 5; run++) {
    const files = new RecordingFiles({ folder, bytesMax: 1e7 }, line(head));
    await files.append(line(lost(run)));
    await files.close();
  }
  expect(kept(folder)).toHaveLength(FILES_MAX);
});

test("no file is larger than a reader takes, whatever the bounds allow", async () => {
  const records = Array.from({ length: 2000 }, (_, at) => lost(at));
  const folder = await recording({ bytesMax: 1e9 }, records);
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  expect(sizes).toHaveLength(2);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(FILE_BYTES_MAX);
  expect(recordsIn(folder).filter(({ kind }) => kind === "lost")).toHaveLength(2000);
});

test("a record that was cut off is not read, wherever the cut is", async () => {
  const folder = await recording();
  const file = fileOf(folder);
  const whole = readFileSync(file);
  appendFileSync(file, Buffer.concat([line(submission(3)), Buffer.from([1, 2, 3, 10])]));
  const { size } = statSync(file);
  for (let length = size - 1; length >= whole.length; length--) {
    truncateSync(file, length);
    expect(recordsIn(folder)).toEqual([head, lost(1)]);
  }
});

test("an invalid recording is named with its file, place and fault", async () => {
  const empty = temporaryFolder();
  expect(() => recordsIn(empty)).toThrow(`${empty} has no recording: no file like 00000001.rec`);
  expect(() => recordsIn(join(empty, "x"))).toThrow(/cannot read .*x: it does not exist/);
  const folder = await recording();
  const file = fileOf(folder);
  const cases: [string | Buffer, RegExp][] = [
    ["{}\n", /record at byte 0 is wrong: kind: expected/],
    ["nonsense\n", /its line is not JSON/],
    [line({ ...head, version: 99 }), /version: expected 2: made by another version/],
    [line(lost(1)), /its first record is a lost/],
    [Buffer.concat([line(head), line(submission(-1))]), /bytes: expected at least 0/],
    [Buffer.concat([line(head), line(submission(1e9))]), /bytes: expected at most/],
    [
      Buffer.concat([line(head), line(submission(1)), Buffer.from("abc\n")]),
      /its bytes do not end where it says/,
    ],
    [
      Buffer.concat([line(head), line(submission(2)), Buffer.from([255, 255, 10])]),
      /not a SubmitSnapshotRequest/,
    ],
    [`${"x".repeat(70_000)}\n`, /its line has 70000 bytes/],
  ];
  for (const [bytes, fault] of cases) {
    writeFileSync(file, bytes);
    expect(() => recordsIn(folder)).toThrow(fault);
  }
  rmSync(file);
  symlinkSync("/dev/zero", file);
  expect(() => recordsIn(folder)).toThrow(`${file} is no file`);
});

test("whatever bytes a recording has, it is read or named as wrong", async () => {
  const random = new Random(1);
  const folder = await recording();
  const file = fileOf(folder);
  const whole = Buffer.concat([
    readFileSync(file),
    line(submission(2)),
    Buffer.from([8, 1, 10]),
    line({ kind: "outcome", atMs: 1 }),
  ]);
  for (let nth = 0; nth < 500; nth++) {
    const bytes = Buffer.from(whole);
    for (let times = random.whole(1, 8); times > 0; times--) {
      bytes[random.whole(0, bytes.length - 1)] = random.whole(0, 255);
    }
    writeFileSync(file, bytes.subarray(0, random.whole(0, bytes.length)));
    try {
      recordsIn(folder);
    } catch (error) {
      expect(error).toBeInstanceOf(RecordingError);
    }
  }
});
