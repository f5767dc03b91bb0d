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
vi.mock("../../../server/limits.js", async (original) => {
  const real = await original<typeof Limits>();
  return { ...real, limits: { ...real.limits, recordFileBytesMax: 100_000 } };
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

async function recording(bounds = { bytesMax: 1e6, filesMax: 2 }, records = [lost(1)]) {
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

test("bytes and files are bounded, over all runs: the oldest file goes", async () => {
  const bounds = { bytesMax: 3 * 500, filesMax: 3 };
  const records = Array.from({ length: 100 }, (_, at) => lost(at));
  const folder = await recording(bounds, records);
  const sizes = () => readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  const kept = () =>
    recordsIn(folder).flatMap((each) => (each.kind === "lost" ? each.requests : []));
  expect(sizes()).toHaveLength(3);
  expect(Math.max(...sizes())).toBeLessThanOrEqual(500);
  expect(kept().at(-1)).toBe(99);
  const next = new RecordingFiles({ folder, ...bounds }, line(head));
  await next.append(line(lost(100)));
  // No file could hold this one: it is left out.
  expect(await next.append(line(lost(101)), new Uint8Array(500))).toBe(false);
  await next.close();
  expect(sizes()).toHaveLength(3);
  expect(kept().at(-1)).toBe(100);
});

test("no file is larger than a reader takes, whatever the bounds allow", async () => {
  const records = Array.from({ length: 2000 }, (_, at) => lost(at));
  const folder = await recording({ bytesMax: 1e9, filesMax: 3 }, records);
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
