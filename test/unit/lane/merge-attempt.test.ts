/** A lane starts the whole of a merge or nothing, and what it learns of it is of merges alone. */
import { beforeEach, expect, test } from "vitest";
import { Lane } from "../../../server/lane/lane.js";
import type { Assignment, FromLane, LaneReport } from "../../../server/lane/lane-messages.js";
import { limits } from "../../../server/limits.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Prover } from "../../../server/prover/prover.js";
import { overrunMs, predictMs } from "../../../server/work/costs/cost-model.js";
import { modelOf } from "../../../server/work/costs/costs.js";
import type { ProofResult } from "../../../server/work/group.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import { fakeMerge } from "../../../tools/harness/fake-merge.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const PROVE_MS = 2000;
const SHAPE = { raws: 1, children: 2, messages: 3 };

let clock: VirtualClock;
let lane: Lane;
let heard: FromLane[];
/** Resident bytes of the prover after its setup, and the peak of its proofs; 0: they do not count. */
let bytes: { setup: number; peak: number };
let provers: number;
/** Whether proofs never end, and heartbeats neither come. */
let hangs: boolean;
let isSilent: boolean;

beforeEach(() => {
  clock = new VirtualClock();
  heard = [];
  bytes = { setup: 0, peak: 0 };
  [provers, hangs, isSilent] = [0, false, false];
});

async function run(ms: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

function startProver(): Prover {
  provers++;
  const proveMs = () => (hangs ? 1e9 : PROVE_MS);
  const prover = startFakeProver({ proveMs, sleep: (ms) => clock.sleep(ms) });
  const { setup, peak } = bytes;
  const heardAtMs = () => (isSilent ? 0 : Infinity);
  return Object.assign(prover, { residentBytes: () => setup, peakBytes: () => peak, heardAtMs });
}

async function open(ceilingBytes = Infinity): Promise<void> {
  const options = { standbyBytesMax: 0, residentBytesMax: ceilingBytes, refreshShare: 0 };
  lane = new Lane({ id: "cpu", startProver }, options, {
    clock,
    log: createLog("silent"),
    metrics: createMetrics(["cpu"]),
    emit: (message) => heard.push(message),
  });
  lane.open();
  await run(1000);
}

function report(): LaneReport {
  const announced = heard.findLast((each) => each.kind === "announce");
  if (announced?.kind !== "announce") throw new Error("the lane has not announced itself");
  return announced;
}

const result = (): ProofResult | undefined => {
  const ended = heard.find((each) => each.kind === "ended");
  return ended?.kind === "ended" ? ended.result : undefined;
};

/** Assigns a merge of so many proofs and a raw signature, and lets it begin. */
async function assign(changes: Partial<Assignment> = {}, proofs = 2): Promise<void> {
  const all = Array.from(
    { length: proofs },
    (_, at) => ({ from: "proof", validators: at + 2 }) as const,
  );
  const work = await fakeMerge([...all, { from: "raws", validators: 1 }]);
  const nowMs = clock.nowMs();
  const assignment: Assignment = {
    work,
    digest: inputDigest(work, { scheme: "fake", revision: "fake-1" }),
    deadlineAtMs: nowMs + 1e5,
    fenceAtMs: nowMs + 1e6,
    steps: [],
    isFirstOfSession: false,
    isExploration: false,
    mayShed: true,
    minInputs: 1,
    rotation: 0,
    isRetry: false,
    ...changes,
  };
  lane.receive({ kind: "assign", lease: report().lease, attempt: 1, assignment });
  await run(100);
}

test("reports the merge's shape while it runs, and learns of merges alone", async () => {
  bytes = { setup: 0.25e9, peak: 1.5e9 };
  await open();
  await assign();
  expect(report().phase).toMatchObject({ kind: "proving", attempt: 1, proof: { shape: SHAPE } });
  await run(PROVE_MS);
  expect(result()).toMatchObject({ kind: "proved", validators: [], leftOut: [] });
  await run(1000);
  expect(report().costs.map(({ kind, logInvRate }) => [kind, logInvRate])).toEqual([["merge", 0]]);
  expect(report().memory).toMatchObject([{ shape: SHAPE, bytes: 1.5e9 }]);
});

test("a merge that is killed teaches that merges take at least as long", async () => {
  await open();
  await assign();
  lane.receive({ kind: "kill", lease: report().lease, attempt: 1, reason: "cancelled" });
  await run(2000);
  expect(report().costs.map(({ kind }) => kind)).toEqual(["merge"]);
  expect(result()).toBeUndefined();
  expect(provers).toBe(2);
});

test("one that is killed as too long teaches the same, and one whose prover is silent nothing", async () => {
  hangs = true;
  await open();
  await assign({}, 2);
  const { costs } = report();
  isSilent = true;
  await run(limits.proverSilenceMsMax + 2000);
  expect(result()).toMatchObject({ kind: "failed", reason: "prover_died" });
  expect(report().costs).toEqual(costs);

  isSilent = false;
  heard = heard.filter(({ kind }) => kind === "announce");
  await run(1000);
  const before = predictMs(modelOf(report().costs, SHAPE), SHAPE);
  await assign({}, 2);
  await run(overrunMs(modelOf(report().costs, SHAPE), SHAPE) + 1000);
  expect(result()).toMatchObject({
    kind: "failed",
    detail: "the prover was wedged: its proof took far longer than predicted",
  });
  expect(predictMs(modelOf(report().costs, SHAPE), SHAPE)).toBeGreaterThan(before);
});

test("a merge that misses with its whole is not cut, but may be explored", async () => {
  await open();
  const soon = clock.nowMs() + 2000;
  await assign({ fenceAtMs: soon });
  expect(result()).toEqual({ kind: "not_started", reason: "predicted_miss", leftOut: [] });
  heard = heard.filter(({ kind }) => kind === "announce");
  await run(1000);
  await assign({ fenceAtMs: clock.nowMs() + 2000, isExploration: true });
  await run(PROVE_MS);
  expect(result()).toMatchObject({ kind: "proved" });
});

test("a merge that would pass the memory ceiling does not start", async () => {
  bytes = { setup: 0.25e9, peak: 0 };
  await open(1e9);
  await assign({}, 3);
  expect(result()).toEqual({ kind: "not_started", reason: "memory", leftOut: [] });
});

test("a merge does not start after its deadline, unless it is its session's first", async () => {
  await open();
  await assign({ deadlineAtMs: clock.nowMs() });
  expect(result()).toEqual({ kind: "not_started", reason: "deadline", leftOut: [] });
  heard = heard.filter(({ kind }) => kind === "announce");
  await run(1000);
  await assign({ deadlineAtMs: clock.nowMs(), isFirstOfSession: true });
  await run(PROVE_MS);
  expect(result()).toMatchObject({ kind: "proved" });
});
