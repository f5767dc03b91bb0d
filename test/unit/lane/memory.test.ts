/** A lane starts no proof that would pass its device's memory ceiling: it cuts the group, or says so. */
import { beforeEach, expect, test } from "vitest";
import { concat } from "../../../server/bytes.js";
import { Lane } from "../../../server/lane/lane.js";
import type { FromLane } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import { peakResidentBytes, resetPeak } from "../../../server/prover/peak-memory.js";
import type { Prover } from "../../../server/prover/prover.js";
import type { ProofResult } from "../../../server/work/group.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const root = new Uint8Array(32).fill(8);
const message = { root, slot: 3 };
const SETUP_BYTES = 0.25e9;
const keyOf = (validator: number) => new Uint8Array(32).fill(validator + 1);

let clock: VirtualClock;
let lane: Lane;
let heard: FromLane[];
/** What a proof of so many raw signatures takes. */
let bytesOf: (raws: number) => number;
let shapes: number[];
let attempts: number;

beforeEach(() => {
  clock = new VirtualClock();
  [heard, shapes, attempts] = [[], [], 0];
  bytesOf = (raws) => 0.8e9 + 6.3e6 * raws;
});

async function run(ms: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

/** A process that holds what it held after its setup, but while it proves. */
function startProver(): Prover {
  let peak = 0;
  const proveMs = ({ raws }: { raws: number }) => {
    shapes.push(raws);
    peak = bytesOf(raws);
    return 100;
  };
  const prover = startFakeProver({ proveMs, sleep: (ms) => clock.sleep(ms) });
  return Object.assign(prover, { residentBytes: () => SETUP_BYTES, peakBytes: () => peak });
}

async function open(ceilingBytes: number): Promise<void> {
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

/** The result of a group of so many raw signatures. */
async function prove(raws: number, mayShed = true): Promise<ProofResult | undefined> {
  const validators = Array.from({ length: raws }, (_, at) => at);
  const attempt = ++attempts;
  const announced = heard.findLast((each) => each.kind === "announce");
  lane.receive({
    kind: "assign",
    lease: announced?.kind === "announce" ? announced.lease : 0,
    attempt,
    assignment: {
      work: {
        kind: "fold",
        message,
        raws: {
          validators,
          keys: concat(validators.map(keyOf)),
          signatures: concat(validators.map((each) => fakeSignature(keyOf(each), root, 3))),
        },
        children: [],
        leftOut: [],
        logInvRate: 0,
      },
      digest: "00",
      deadlineAtMs: clock.nowMs() + 1e5,
      fenceAtMs: clock.nowMs() + 1e6,
      steps: [],
      isFirstOfSession: true,
      isExploration: false,
      mayShed,
      minInputs: 1,
      rotation: 0,
      isRetry: false,
    },
  });
  await run(1000);
  const ended = heard.find((each) => each.kind === "ended" && each.attempt === attempt);
  return ended?.kind === "ended" ? ended.result : undefined;
}

test("cuts a group to what fits below the ceiling", async () => {
  await open(1e9);
  const result = await prove(64);
  expect(shapes).toEqual([31]);
  expect(result).toMatchObject({ kind: "proved", validators: { length: 31 } });
});

test("proves it whole where that fits, and once its proofs are known to take less", async () => {
  bytesOf = () => 0.3e9;
  await open(1e9);
  for (let slot = 0; slot < 3; slot++) await prove(64);
  expect(shapes).toEqual([31, 64, 64]);
});

test("does not start a group that may not be cut, and says why", async () => {
  await open(1e9);
  expect(await prove(64, false)).toMatchObject({ kind: "not_started", reason: "memory" });
  expect(await prove(16, false)).toMatchObject({ kind: "proved" });
  expect(shapes).toEqual([16]);
});

test("tries the smallest proof of a ceiling below all that is predicted, and learns from it", async () => {
  await open(0.5e9);
  expect(await prove(64)).toMatchObject({ kind: "proved", validators: { length: 1 } });
  expect(await prove(64)).toMatchObject({ kind: "not_started", reason: "memory" });
  expect(shapes).toEqual([1]);
});

test("forgets after ten minutes that a proof took more than the ceiling", async () => {
  bytesOf = () => 0.3e9;
  await open(1e9);
  for (let slot = 0; slot < 2; slot++) await prove(64);
  bytesOf = () => 1.5e9;
  await prove(64);
  bytesOf = () => 0.3e9;
  const odd = shapes.length;
  await prove(64);
  expect(shapes.slice(odd)[0]).toBeLessThan(64);
  await run(600_000);
  await prove(64);
  expect(shapes.at(-1)).toBe(64);
});

test("peaks are those of the process since the last reset", () => {
  resetPeak();
  const before = peakResidentBytes();
  const bytes = Buffer.alloc(64e6, 1);
  expect(peakResidentBytes() - before).toBeGreaterThan(0.8 * bytes.length);
});
