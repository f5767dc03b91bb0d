/** What a lane host announces becomes the report of one door's dispatcher. */
import { expect, test } from "vitest";
import type { Peer, SharedPhase } from "../../../../server/fleet/wire/messages.js";
import { reportFor } from "../../../../server/fleet/wire/report.js";
import * as examples from "../../../../tools/harness/wire/fleet-messages.js";

const NOW_MS = 10_000;
const door: Peer = { id: "door-0", run: examples.doorRun };
const { report, workDigest } = examples;

const seen = (phase: SharedPhase, by = door) => reportFor(by, { ...report, phase }, NOW_MS);
const proving: SharedPhase = {
  kind: "proving",
  digest: workDigest,
  owners: [{ ...door, attempt: 5 }],
  fenceInMs: 4000,
  proof: { ranMs: 500, shape: { raws: 3, children: 2 } },
};

test("a proof of the door has its attempt, and began when it began", () => {
  expect(seen(proving).phase).toEqual({
    kind: "proving",
    attempt: 5,
    proof: { startedAtMs: 9500, shape: { raws: 3, children: 2 } },
  });
});

test("a proof of another door, or of the door's run before, has none", () => {
  const another = { id: "door-1", run: door.run };
  const before = { id: door.id, run: examples.hostRun };
  expect(seen(proving, another).phase).toMatchObject({ attempt: null });
  expect(seen(proving, before).phase).toMatchObject({ attempt: null });
});

test("inputs that are fetched or verified do not count as a proof yet", () => {
  expect(seen({ ...proving, proof: null }).phase).toMatchObject({ attempt: 5, proof: null });
});

test("what runs and what is held can be adopted until its fence", () => {
  const held = { digest: "cd".repeat(32), fenceAtMs: 11_500, isRunning: false };
  expect(seen(proving).adoptable).toEqual([
    { digest: workDigest, fenceAtMs: 14_000, isRunning: true },
    held,
  ]);
  expect(seen({ kind: "idle" }).adoptable).toEqual([held]);
});

test("a failed device tries again by the door's clock", () => {
  const phase = seen({ kind: "failed", cause: "no library", retryInMs: 1000 }).phase;
  expect(phase).toEqual({ kind: "failed", cause: "no library", retryAtMs: 11_000 });
});

test("costs are as old as they are, and commands are the door's own", () => {
  const idle = seen({ kind: "idle" });
  expect(idle.costs.map(({ kind }) => kind)).toEqual(["fold", "fold", "merge"]);
  expect(idle.costs.map(({ model }) => model.atMs)).toEqual([
    NOW_MS - 90_000,
    NOW_MS,
    NOW_MS - 5000,
  ]);
  expect(idle.commandsDone).toBe(3);
  expect(seen({ kind: "idle" }, { ...door, run: examples.hostRun }).commandsDone).toBe(0);
});

test("everything else is as the host says", () => {
  const { lease, isDrained, isRestartDue, isStandbyReady, standbyCause, provers } = report;
  expect(seen({ kind: "stopping", cause: "memory" })).toMatchObject({
    ...{ lease, isDrained, isRestartDue, isStandbyReady, standbyCause, provers },
    phase: { kind: "stopping", cause: "memory" },
    description: report.description,
  });
});
