/** A lane starts no proof that would pass its device's memory ceiling: it cuts the group, or says so. */
import { beforeEach, expect, test } from "vitest";
import { concat } from "../../../server/bytes.js";
import { Lane } from "../../../server/lane/lane.js";
import type { FromLane } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Prover, ProverExit } from "../../../server/prover/prover.js";
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
/** Whether the kernel kills a prover for memory in a proof of so many. */
let isTooMuch: (raws: number) => boolean;

beforeEach(() => {
  clock = new VirtualClock();
  [heard, shapes, attempts] = [[], [], 0];
  isTooMuch = () => false;
  bytesOf = (raws) => 0.8e9 + 6.3e6 * raws;
});

async function run(ms: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

/** A process that holds what it held after its setup, but while it proves. */
function startProver(): Prover {
  let [peak, isKilled] = [0, false];
  const proveMs = ({ raws }: { raws: number }) => {
    shapes.push(raws);
    peak = bytesOf(raws);
    isKilled = isTooMuch(raws);
    return 100;
  };
  const failure = () => (isKilled ? "death" : undefined);
  const prover = startFakeProver({ proveMs, failure, sleep: (ms) => clock.sleep(ms) });
  const exited = prover.exited.then((exit): ProverExit => {
    return isKilled ? { ...exit, cause: "killed_for_memory" } : exit;
  });
  const own = { residentBytes: () => SETUP_BYTES, peakBytes: () => peak, exited };
  return Object.assign(prover, own);
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
async function prove(
  raws: number,
  mayShed = true,
  isRetry = false,
): Promise<ProofResult | undefined> {
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
      isRetry,
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

test("and starts one proof each ten minutes where its shape still takes more", async () => {
  bytesOf = (raws) => (raws === 64 ? 1.5e9 : 0.3e9);
  await open(1e9);
  for (let slot = 0; slot < 3; slot++) await prove(64);
  const starts = () => shapes.filter((raws) => raws === 64).length;
  expect(starts()).toBe(1);
  for (const expected of [2, 3]) {
    await run(600_000);
    for (let slot = 0; slot < 3; slot++) await prove(64, false);
    expect(starts()).toBe(expected);
  }
});

test("starts no proof again in ten minutes in which the kernel killed its prover for memory", async () => {
  bytesOf = () => 0.3e9;
  await open(1e9);
  for (let slot = 0; slot < 2; slot++) await prove(64);
  isTooMuch = (raws) => raws >= 64;
  expect(await prove(64)).toMatchObject({ kind: "failed", reason: "prover_died", deaths: 1 });
  expect(shapes).toEqual([31, 64, 64]);
  for (let slot = 0; slot < 3; slot++) expect(await prove(64)).toMatchObject({ kind: "proved" });
  expect(Math.max(...shapes.slice(3))).toBeLessThan(64);
  isTooMuch = () => false;
  await run(600_000);
  await prove(64);
  expect(shapes.at(-1)).toBe(64);
});

test("after such a death tries the smallest proof once more, since there is none below it", async () => {
  bytesOf = () => 0.3e9;
  await open(1e9);
  isTooMuch = () => true;
  expect(await prove(1)).toMatchObject({ kind: "failed", reason: "prover_died" });
  expect(await prove(1, true, true)).toMatchObject({ kind: "failed", reason: "prover_died" });
  expect(await prove(1)).toMatchObject({ kind: "not_started", reason: "memory" });
  expect(shapes).toEqual([1, 1]);
});

test("without a ceiling the death of a prover for memory teaches what it held", async () => {
  await open(Infinity);
  isTooMuch = () => true;
  await prove(64);
  const announced = heard.findLast((each) => each.kind === "announce");
  expect(announced).toMatchObject({ memory: [{ bytes: bytesOf(64) }] });
});
