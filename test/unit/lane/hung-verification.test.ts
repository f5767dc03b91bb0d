/** A prover that hangs in a verification is replaced before the attempt is tried again. */
import { expect, test } from "vitest";
import { Lane } from "../../../server/lane/lane.js";
import type { FromLane } from "../../../server/lane/lane-messages.js";
import { limits } from "../../../server/limits.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const key = new Uint8Array(32).fill(7);
const root = new Uint8Array(32).fill(8);
const message = { root, slot: 3 };
const work = {
  kind: "fold" as const,
  message,
  raws: { validators: [0], keys: key, signatures: fakeSignature(key, root, 3) },
  children: [],
  leftOut: [],
  logInvRate: 0,
};
const options = { residentBytesMax: 1e9, refreshShare: 0 };
const HUNG_MS = limits.verifyMsMax + limits.verifyMsPerSignature + 100;

/** A lane of which the first provers, so many, never answer a verification of signatures. */
async function laneOf(hung: number, standbyBytesMax: number) {
  const clock = new VirtualClock();
  const run = async (ms: number) => {
    // What was called before has begun by then.
    await new Promise((resolve) => setImmediate(resolve));
    await clock.runUntil(clock.nowMs() + ms, () => undefined);
  };
  const heard: FromLane[] = [];
  let started = 0;
  const startProver = () => {
    const prover = startFakeProver({ proveMs: () => 300, sleep: (ms) => clock.sleep(ms) });
    if (++started > hung) return prover;
    return Object.assign(prover, { verifySignatures: () => new Promise<never>(() => undefined) });
  };
  const lane = new Lane(
    { id: "cpu", startProver },
    { ...options, standbyBytesMax },
    {
      ...{ clock, log: createLog("silent"), metrics: createMetrics(["cpu"]) },
      emit: (each) => heard.push(each),
    },
  );
  lane.open();
  await run(1200);
  const leaseNow = () => heard.findLast((each) => each.kind === "announce")?.lease ?? 0;
  /** The result of an attempt that the lane is given now. */
  const attempt = async (number: number) => {
    const assignment = {
      ...{ work, digest: "00", deadlineAtMs: 1e6, fenceAtMs: 1e6, isFirstOfSession: true },
      ...{ steps: [], isExploration: false, isRetry: false, mayShed: false },
      ...{ minInputs: 1, rotation: 0 },
    };
    lane.receive({ kind: "assign", lease: leaseNow(), attempt: number, assignment });
    await run(HUNG_MS);
    await run(1200);
    const ended = heard.find((each) => each.kind === "ended" && each.attempt === number);
    return ended?.kind === "ended" ? ended.result : undefined;
  };
  return { lane, attempt, started: () => started };
}

test("without a standby the second attempt has another prover, and proves", async () => {
  const { lane, attempt, started } = await laneOf(1, 0);
  expect(await attempt(1)).toMatchObject({ kind: "failed", reason: "prover_died", deaths: 1 });
  expect(started()).toBe(2);
  expect(lane.phase.kind).toBe("idle");
  expect(await attempt(2)).toMatchObject({ kind: "proved" });
});

test("where the standby hung and the active prover answered, that one is kept", async () => {
  const { attempt, lane } = await laneOf(0, Infinity);
  const [active, standby] = lane.provers();
  expect(standby?.isReady).toBe(true);
  const [asked] = lane.verifyingProvers();
  if (asked !== undefined) asked.verifySignatures = () => new Promise<never>(() => undefined);
  expect(await attempt(1)).toMatchObject({ kind: "proved" });
  expect(lane.provers()[0]).toEqual(active);
});
