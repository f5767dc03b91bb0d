/**
 * A file of a recording is read up to its end or to a record that is cut off, or named as wrong; and
 * what was read becomes a scenario.
 */
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { StreamActivityResponseSchema } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import { readRecording, RecordingError } from "../../../server/recording/read-recording.js";
import { RECORDING_VERSION } from "../../../server/recording/records.js";
import { fakeSnapshot } from "../../harness/fake-snapshots.js";
import { recordedScenario } from "../../sim-report/scenario/recorded.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

const line = (value: object) => Buffer.from(`${JSON.stringify(value)}\n`);
const orWrong = (read: () => void) => {
  try {
    read();
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
  }
};

function seed(): Uint8Array {
  const who = { service: "fuzz", run: "00000000000000aa", devices: 1, content: "full" };
  const request = create(SubmitSnapshotRequestSchema, { snapshot: fakeSnapshot(1) });
  const body = toBinary(SubmitSnapshotRequestSchema, request);
  const of = { atMs: 1e12, node: "node-1", requestId: "one" };
  const budgets = { deadlineMs: 750, fenceMs: 6400, bytes: body.length };
  const answer = { principal: "anonymous", answer: "accepted", reason: "", ...budgets };
  const took = { queueMs: 1, proveMs: 900, attempts: 1, raws: 2, children: 0 };
  const activities = [
    { atMs: 1, event: { case: "skipped", value: { nodeId: "node-1" } } },
  ] as const;
  const shown = { nowMs: 2, run: "one", activities: [...activities] };
  const seen = toBinary(StreamActivityResponseSchema, create(StreamActivityResponseSchema, shown));
  const ended = { group: 0, status: "proved", reason: "", proved: [2, 0], votes: 2 };
  return Buffer.concat([
    line({ kind: "recording", version: RECORDING_VERSION, ...who }),
    line({ kind: "submission", ...of, ...answer }),
    body,
    Buffer.from("\n"),
    line({ kind: "outcome", ...of, ...took, ...ended }),
    line({ kind: "activity", atMs: 1e12, bytes: seen.length }),
    seen,
    Buffer.from("\n"),
  ]);
}

export const target: FuzzTarget = {
  name: "recording",
  bytesMax: 16 * 1024,
  msMax: 50,
  msPerKb: 10,
  seeds: () => [seed()],
  open: () => {
    const folder = mkdtempSync(join(tmpdir(), "lean-fuzz-recording-"));
    const path = join(folder, "00000001.rec");
    return {
      run: (input) => {
        writeFileSync(path, input);
        orWrong(() => {
          for (const record of readRecording(folder)) {
            if (!("bytes" in record)) continue;
            const isRequest = record.kind === "submission";
            const most = isRequest ? limits.snapshotBytesMax : limits.recordedAnswerBytesMax;
            holds(record.bytes <= most, `a ${record.kind} is within its limit`);
          }
        });
        orWrong(() => {
          const { snapshots, lanes } = recordedScenario(folder, 1);
          holds(snapshots.length > 0 && lanes > 0, "a scenario has snapshots and lanes");
        });
      },
      close: () => rm(folder, { recursive: true }),
    };
  },
};
