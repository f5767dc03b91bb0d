/** A recording becomes a workload: its instants, budgets and durations, and nothing trusted. */
import { join } from "node:path";

import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { indicesToBits } from "../../proto/bitlist.js";
import {
  BusyPolicy,
  GroupSchema,
  ProofKind,
  SubmitSnapshotRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { RecordingError } from "../../server/recording/read-recording.js";
import { RecordingFiles } from "../../server/recording/recording-files.js";
import { evaluate } from "../../tools/sim-report/measure/evaluate.js";
import { recordedScenario } from "../../tools/sim-report/scenario/recorded.js";
import { inventedData } from "../../tools/harness/wire/contract.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const SNAPSHOTS = 10;
const head = {
  kind: "recording",
  version: 2,
  service: "t",
  run: "r",
  devices: 1,
  content: "shapes",
};
const line = (value: object) => Buffer.from(`${JSON.stringify(value)}\n`);

interface Recorded extends Omit<MessageInitShape<typeof SubmitSnapshotRequestSchema>, "$typeName"> {
  participants?: Uint8Array;
  /** Of the snapshots in turn. */
  rates?: number[];
  /** Further groups of each snapshot. */
  others?: MessageInitShape<typeof GroupSchema>[];
}

/** One snapshot a slot of 4 s, each of one group with 3 raw signatures, of which 1 is in its child. */
async function recording(
  proveMs: number,
  { participants = indicesToBits([1, 7]), others = [], rates = [0], ...more }: Recorded = {},
) {
  const folder = join(temporaryFolder(), "tiny");
  const files = new RecordingFiles({ folder, bytesMax: 1e7 }, line(head));
  for (let nth = 0; nth < SNAPSHOTS; nth++) {
    const rawSignatures = [1, 2, 3].map((validatorIndex) => ({ validatorIndex }));
    const groups = [{ data: inventedData(nth), rawSignatures, children: [{ participants }] }];
    const request = create(SubmitSnapshotRequestSchema, {
      proofSystem: { logInvRate: rates[nth % rates.length] ?? 0 },
      ...more,
      snapshot: { slot: BigInt(nth), groups: [...groups, ...others] },
      steps: [
        { untilMs: 800, weight: 4 },
        { untilMs: 9000, weight: 1 },
      ],
    });
    const body = toBinary(SubmitSnapshotRequestSchema, request);
    const [node, requestId, atMs] = ["n", `r${nth}`, 1e12 + nth * 4000];
    const budgets = { deadlineMs: 750, fenceMs: 6400 };
    const submission = { kind: "submission", principal: "p", answer: "accepted", reason: "" };
    const bytes = body.length;
    await files.append(line({ ...submission, atMs, node, requestId, ...budgets, bytes }), body);
    // A later try of the same request.
    await files.append(line({ ...submission, atMs, node, requestId, ...budgets, bytes }), body);
    const took = { queueMs: 1, proveMs, attempts: 1, raws: 2, children: 1 };
    const ended = { group: 0, status: "proved", reason: "", proved: [0, 4, 0], votes: 4 };
    const outcome = { kind: "outcome", atMs: atMs + proveMs, node, requestId };
    await files.append(line({ ...outcome, ...took, ...ended }));
  }
  await files.close();
  return folder;
}

test("instants, budgets, steps and durations are those of the recording", async () => {
  const scenario = recordedScenario(await recording(2000), 1);
  expect(scenario.workload).toBe("recorded: tiny");
  expect(scenario.snapshots).toHaveLength(SNAPSHOTS);
  const [first, second] = scenario.snapshots;
  if (first === undefined || second === undefined) throw new Error("there are ten");
  expect(second.atMs - first.atMs).toBe(4000);
  expect(first).toMatchObject({ deadlineMs: 750, fenceMs: 6400, node: "n" });
  expect(first.steps.map(({ untilAtMs }) => untilAtMs - first.atMs)).toEqual([800, 6400]);
  const [group] = first.groups;
  if (group === undefined) throw new Error("it has one group");
  // The raw signature that the child has is not needed.
  expect(group).toMatchObject({ raws: [2, 3], children: [[1, 7]] });
  const { truth } = scenario;
  expect(truth.proveMs(0, group, { raws: 2, children: 1 })).toBe(2000);
  expect(truth.proveMs(0, group, { raws: 1, children: 0 })).toBeLessThan(2000);
});

test("the real schedule does in it what it did then, and baselines are compared", async () => {
  const scenario = recordedScenario(await recording(2000), 1);
  const { then, runs, measures } = await evaluate(scenario);
  expect(then).toEqual(Array.from({ length: SNAPSHOTS }, () => "proved"));
  expect(runs.ours.asks.map(({ ending }) => ending)).toEqual(then);
  expect(measures.gateway.groups).toBeGreaterThan(0);
});

test("its snapshots replace older ones and want inputs as then; what is not judged is said", async () => {
  const others = [
    { kind: ProofKind.MERGE },
    { data: inventedData(99), rawSignatures: [{ validatorIndex: 4 }] },
  ];
  const rules = { busyPolicy: BusyPolicy.REPLACE, minInputs: 2 };
  const scenario = recordedScenario(await recording(2000, { ...rules, others, rates: [0, 2] }), 1);
  for (const snapshot of scenario.snapshots)
    expect(snapshot).toMatchObject({ shouldReplace: true, minInputs: 2 });
  expect(scenario.leftOut).toEqual([
    `${SNAPSHOTS} merges are left out`,
    "proofs of 2 systems or rates are taken as one",
  ]);
  const { runs } = await evaluate(scenario);
  // A single vote is too few.
  const endings = runs.ours.asks.map(({ ending }) => ending);
  expect(endings).toContain("nothing_to_prove");
  expect(recordedScenario(await recording(2000), 1).leftOut).toEqual([]);
});

test("a recording with too many validators is named as wrong", async () => {
  const folder = await recording(2000, { participants: new Uint8Array(5000).fill(1) });
  expect(() => recordedScenario(folder, 1)).toThrow(RecordingError);
  expect(() => recordedScenario(folder, 1)).toThrow(/participants/);
});

test("on the recorded devnet no order is ahead, and each group ends as it did then", async () => {
  const { then, runs, measures } = await evaluate(
    recordedScenario("tools/sim-report/recorded/devnet", 1),
  );
  expect(then?.length).toBeGreaterThan(10);
  expect(runs.ours.asks.map(({ ending }) => ending)).toEqual(then);
  for (const { worth } of Object.values(measures))
    expect(measures.ours.worth).toBeGreaterThanOrEqual(worth);
});

test("on a recorded devnet with kills and partitions ours is ahead of every other order", async () => {
  const folder = "tools/sim-report/recorded/devnet-faults";
  const { then, measures } = await evaluate(recordedScenario(folder, 1));
  expect(then?.length).toBeGreaterThan(300);
  const { ours, ...others } = measures;
  for (const { worth } of Object.values(others)) expect(ours.worth).toBeGreaterThan(worth);
});
