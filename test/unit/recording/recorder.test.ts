/** The recorder: it delays no call, keeps a bounded queue, and stops where it cannot write. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { pino } from "pino";
import { afterEach, expect, test, vi } from "vitest";
import { StreamActivityResponseSchema } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import {
  GroupSchema,
  OutcomeSchema,
  OutcomeStatus,
  SubmitSnapshotRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Clock } from "../../../server/clock.js";
import { systemClock } from "../../../server/clock.js";
import { readRecording } from "../../../server/recording/read-recording.js";
import type { Ended, Submitted } from "../../../server/recording/recorder.js";
import { Recorder } from "../../../server/recording/recorder.js";
import { RecordingFiles } from "../../../server/recording/recording-files.js";
import { decodedGroup } from "../../../tools/harness/decoded-group.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";
import { workOf } from "../fleet/scripted-door.js";
import { mergeOf, proofComponent, rawsComponent } from "../../../tools/harness/merges.js";

afterEach(() => vi.restoreAllMocks());

const who = { service: "test", run: "00000000000000aa", devices: 1 };
const bounds = { bytesMax: 1e9 };

function recorderIn(
  folder: string,
  content: "full" | "shapes" = "full",
  clock: Clock = systemClock,
) {
  const lines: unknown[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  const log = pino({ level: "debug", formatters: { level: (level) => ({ level }) } }, { write });
  const recorder = new Recorder({ folder, ...bounds, ...who, content }, { clock, log });
  return { recorder, lines };
}

function submitted(received?: Uint8Array): Submitted {
  const request = create(SubmitSnapshotRequestSchema, {
    node: { nodeId: "node-1" },
    snapshot: fakeSnapshot(1),
  });
  const merge = mergeOf(proofComponent(0, Uint8Array.of(1)), rawsComponent(1, [0]));
  request.snapshot?.groups.push(create(GroupSchema, merge));
  const accepted = { deadlineMs: 750, fenceMs: 6400, deadlineSource: 1 as const };
  return {
    request,
    received,
    envelope: {
      nodeId: "node-1",
      nodeEpoch: 0n,
      requestId: "",
      contentDigest: "",
      principal: { name: "aggregator-1", quota: {} },
      slot: 1n,
      priority: 2,
      shouldReplace: false,
      mayShed: true,
      minInputs: 1,
      receivedAtMs: systemClock.nowMs(),
      deadlineAtMs: 0,
      fenceAtMs: 0,
      steps: [],
      bytes: 1000,
      accepted,
    },
    answer: {
      kind: "accepted",
      accepted: { ...accepted, requestId: "abc", predictedFinishMs: 1 },
    },
  };
}

function ended(groupIndex: number): Ended {
  const outcome = create(OutcomeSchema, { groupIndex, status: OutcomeStatus.NOT_STARTED });
  return { nodeId: "node-1", requestId: "abc", outcome, group: decodedGroup(workOf(1)) };
}

/** A disk that takes nothing, and says nothing. */
function hangDisk(): void {
  vi.spyOn(RecordingFiles.prototype, "append").mockReturnValue(new Promise(() => undefined));
}

test("a request is kept as it was, or without keys, signatures and proofs", async () => {
  for (const content of ["full", "shapes"] as const) {
    const folder = join(temporaryFolder(), "recording");
    const { recorder, lines } = recorderIn(folder, content);
    recorder.submitted(submitted());
    await recorder.close();
    const [head, record] = [...readRecording(folder)];
    expect(head).toMatchObject({ kind: "recording", ...who, content });
    if (record?.kind !== "submission") throw new Error("nothing was recorded");
    expect(record).toMatchObject({ node: "node-1", requestId: "abc", principal: "aggregator-1" });
    expect(Math.abs(record.atMs - Date.now())).toBeLessThan(60_000);
    const { snapshot } = record.request;
    const raws = snapshot?.groups[0]?.rawSignatures ?? [];
    expect(raws.map(({ validatorIndex }) => validatorIndex)).toEqual([0, 1]);
    const isFull = content === "full";
    expect(raws.every(({ signature }) => signature.length > 0)).toBe(isFull);
    expect(snapshot?.keys.length === 0).toBe(!isFull);
    const [ofProof, ofRaws] = snapshot?.groups.at(-1)?.components ?? [];
    expect(ofProof?.from.case === "proof" && ofProof.from.value.length > 0).toBe(isFull);
    expect(ofProof?.claim?.participants).toEqual(Uint8Array.of(3));
    const inMerge = ofRaws?.from.case === "raws" ? ofRaws.from.value.signatures : [];
    expect(
      inMerge.map(({ validatorIndex, signature }) => [validatorIndex, signature.length]),
    ).toEqual([[0, isFull ? 64 : 0]]);
    expect(lines).toEqual([]);
  }
});

test("requests that do not fit into the queue are left out, counted and logged once", async () => {
  const folder = join(temporaryFolder(), "recording");
  const { recorder, lines } = recorderIn(folder);
  const large = new Uint8Array(0);
  Object.defineProperty(large, "length", { value: limits.recordPendingBytesMax });
  recorder.submitted(submitted());
  recorder.submitted(submitted(large));
  recorder.submitted(submitted(large));
  await recorder.close();
  const kinds = [...readRecording(folder)].map(({ kind }) => kind);
  expect(kinds).toEqual(["recording", "lost", "submission"]);
  expect(lines).toMatchObject([{ level: "warn", requests: 2 }]);
});

test("what cannot be written ends the recording with one line in the log", async () => {
  const folder = join(temporaryFolder(), "recording");
  const { recorder, lines } = recorderIn(folder);
  rmSync(folder, { recursive: true });
  recorder.submitted(submitted());
  recorder.submitted(submitted());
  await recorder.close();
  recorder.submitted(submitted());
  const msg = "recording stopped, the service goes on: free space and restart";
  expect(lines).toMatchObject([{ level: "error", folder, requests: 2, msg }]);
});

test("a record that cannot be encoded is left out and counted, and the recording goes on", async () => {
  const folder = join(temporaryFolder(), "recording");
  const { recorder, lines } = recorderIn(folder);
  await recorder.seen({ nowMs: 0, groupsWaiting: 2 ** 40 });
  expect(recorder.isOpen).toBe(true);
  await recorder.seen({ nowMs: 0, groupsWaiting: 2 });
  await recorder.close();
  const [, lost, record] = [...readRecording(folder)];
  expect(lost).toMatchObject({ kind: "lost", requests: 0, outcomes: 0, answers: 1 });
  expect(record).toMatchObject({ kind: "activity", answer: { groupsWaiting: 2 } });
  expect(lines).toMatchObject([
    { level: "warn", msg: "a record of the recording cannot be encoded" },
    { level: "warn", answers: 1 },
  ]);
});

test("what the live page is shown is kept with its instant, in shapes as well", async () => {
  const folder = join(temporaryFolder(), "recording");
  const { recorder } = recorderIn(folder, "shapes");
  const activities = [
    { atMs: 5, event: { case: "skipped", value: { nodeId: "node-1" } } },
  ] as const;
  await recorder.seen({ nowMs: performance.now(), run: "one", activities: [...activities] });
  const [, record] = [...readRecording(folder)];
  if (record?.kind !== "activity") throw new Error("nothing was recorded");
  expect(record.answer.activities[0]?.event).toMatchObject({ value: { nodeId: "node-1" } });
  await recorder.close();
  await recorder.seen({ nowMs: 0, run: "two" });
  expect([...readRecording(folder)]).toHaveLength(2);
});

test("a disk that hangs holds a bounded number of records, and ends wait two seconds for it", async () => {
  const folder = join(temporaryFolder(), "recording");
  const clock = new VirtualClock();
  const { recorder, lines } = recorderIn(folder, "full", clock);
  hangDisk();
  const one = ended(0);
  const room = limits.recordPendingBytesMax / 1024;
  for (let at = 0; at < room + 5; at++) recorder.ended(one);
  // As many answers as there are activities to keep, each after the one before.
  const last = async () => {
    for (let answers = 0; answers < 5 && recorder.isOpen; answers++) {
      await recorder.seen({ nowMs: clock.nowMs(), run: "one" });
    }
  };
  let isClosed = false;
  void recorder.close(last()).then(() => (isClosed = true));
  await setImmediate();
  await clock.runUntil(limits.diskTakeMsMax, () => undefined);
  expect(isClosed).toBe(true);
  // The one that hangs says what was lost until then; one answer more came at the end.
  const records = 1 + room + 1;
  expect(lines).toMatchObject([
    { level: "warn", requests: 0, outcomes: 5, answers: 1 },
    { level: "error", folder, records, msg: "the last records of the recording are lost" },
  ]);
  recorder.ended(one);
  expect(recorder.isOpen).toBe(false);
});

test("what the reader would refuse is left out and counted, and the rest is read", async () => {
  const folder = join(temporaryFolder(), "recording");
  const { recorder } = recorderIn(folder);
  const answerOf = (bytes: number) => ({ nowMs: 0, run: "x".repeat(bytes) });
  const overhead = toBinary(
    StreamActivityResponseSchema,
    create(StreamActivityResponseSchema, answerOf(limits.recordedAnswerBytesMax)),
  ).length;
  const most = 2 * limits.recordedAnswerBytesMax - overhead;
  await recorder.seen(answerOf(most));
  await recorder.seen(answerOf(most + 1));
  recorder.ended(ended(limits.groupsSentMax + 1));
  recorder.ended(ended(3));
  await recorder.close();
  const records = [...readRecording(folder)].slice(1);
  expect(records.map(({ kind }) => kind)).toEqual(["activity", "lost", "lost", "outcome"]);
  expect(records.slice(1)).toMatchObject([
    { requests: 0, outcomes: 0, answers: 1 },
    { requests: 0, outcomes: 1, answers: 0 },
    { group: 3 },
  ]);
});
