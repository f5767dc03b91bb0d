/** A device that was calibrated beside other work learns in idle time, and no group waits for it. */
import { beforeEach, describe, expect, test } from "vitest";
import { Lane } from "../../../server/lane/lane.js";
import type { Assignment, FromLane } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import type { Metrics } from "../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import { foldOfAll } from "../../../server/prover/prover.js";
import type { Prover } from "../../../server/prover/prover.js";
import { predictMs } from "../../../server/work/costs/cost-model.js";
import { modelOf } from "../../../server/work/costs/costs.js";
import type { Shape } from "../../../server/work/shape.js";
import { concat } from "../../../server/bytes.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const root = new Uint8Array(32).fill(8);
const message = { root, slot: 3 };
const SLOT_MS = 4000;
const FENCE_MS = 6400;
const EXIT_MS = 130;
const keyOf = (validator: number) => new Uint8Array(32).fill(validator + 1);
const signatureOf = (validator: number) => fakeSignature(keyOf(validator), root, 3);
const signed = (validators: readonly number[]) => ({
  keys: concat(validators.map(keyOf)),
  signatures: concat(validators.map(signatureOf)),
});
const trueMs = ({ raws, children }: Shape) =>
  children > 0 ? 2750 * children + 42 * raws : 770 + 2 * raws + 0.3 * raws ** 2;

let clock: VirtualClock;
let metrics: Metrics;
let lane: Lane;
let load: number;
let proofs: number;
let attempts: number;
let lease: number;
let waits: number[];
let proved: { leftOut: number }[];

beforeEach(() => {
  clock = new VirtualClock();
  metrics = createMetrics(["cpu"]);
  [load, proofs, attempts, lease, waits, proved] = [1, 0, 0, 0, [], []];
});

async function run(ms: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

/** A process that needs a moment to end, as a killed one does. */
function startProver(): Prover {
  const sleep = (ms: number) => clock.sleep(ms);
  const proveMs = (shape: Shape) => (proofs++, trueMs(shape) * load);
  const prover = startFakeProver({ proveMs, sleep });
  const exited = prover.exited.then(async (exit) => (await clock.sleep(EXIT_MS), exit));
  return Object.assign(prover, { exited });
}

/** A lane on a device that is calibrated with so many signers, beside work that slows it down. */
async function open(signers: number, refreshShare: number, loadAtFirst = 4): Promise<void> {
  load = loadAtFirst;
  const validators = Array.from({ length: signers }, (_, at) => at);
  const calibration = { message, ...signed(validators), children: [], logInvRate: 0 };
  const options = { standbyBytesMax: Infinity, residentBytesMax: 4e9, refreshShare };
  lane = new Lane({ id: "cpu", startProver, calibration }, options, {
    clock,
    log: createLog("silent"),
    metrics,
    emit: hear,
  });
  lane.open();
  await run(16_000);
  load = 1;
}

let announced: Extract<FromLane, { kind: "announce" }> | undefined;
function hear(sent: FromLane): void {
  if (sent.kind === "announce") {
    announced = sent;
    ({ lease } = sent);
    const { phase } = sent;
    if (phase.kind === "proving" && phase.proof !== null && assignedAtMs !== undefined) {
      waits.push(phase.proof.startedAtMs - assignedAtMs);
      assignedAtMs = undefined;
    }
  } else if (sent.result.kind === "proved") proved.push({ leftOut: sent.result.leftOut.length });
}

let assignedAtMs: number | undefined;
/** Assigns a group of eight raw signatures and so many children, of two validators each. */
async function submit(childCount = 1): Promise<void> {
  const childValidators = Array.from({ length: childCount }, (_, at) => [40 + 2 * at, 41 + 2 * at]);
  const helper = startFakeProver({ proveMs: () => 0, sleep: () => Promise.resolve() });
  const children = await Promise.all(
    childValidators.map(async (validators, index) => {
      const inputs = { message, ...signed(validators), children: [], logInvRate: 0 };
      const proof = await helper.prove(foldOfAll(helper.description, inputs));
      return { index, validators, keys: signed(validators).keys, proof };
    }),
  );
  const validators = [0, 1, 2, 3, 4, 5, 6, 7];
  const work = {
    kind: "fold" as const,
    message,
    raws: { validators, ...signed(validators) },
    children,
    leftOut: [],
    logInvRate: 0,
  };
  const nowMs = clock.nowMs();
  const assignment: Assignment = {
    work,
    digest: "00",
    deadlineAtMs: nowMs + 750,
    fenceAtMs: nowMs + FENCE_MS,
    isFirstOfSession: true,
    isExploration: false,
    mayShed: true,
    minInputs: 1,
    rotation: 0,
    isRetry: false,
    steps: [],
  };
  assignedAtMs = nowMs;
  lane.receive({ kind: "assign", lease, attempt: ++attempts, assignment });
}

const childMs = () => predictMs(modelOf(announced?.costs ?? []), { raws: 1, children: 1 });
const counted = async (result: string) =>
  (await metrics.refreshes.get()).values.find(
    ({ labels }) => "result" in labels && labels.result === result,
  )?.value;

describe("a device calibrated beside other work, which then ends", () => {
  test("takes a child for four times as slow as it is, until it refreshes its costs", async () => {
    await open(2, 0.01);
    expect(childMs()).toBeGreaterThan(9000);
    await run(120_000);
    expect(childMs()).toBeLessThan(4500);
    await run(600_000);
    expect(childMs()).toBeLessThan(3200);
  });

  test("sheds no child once it was idle for ten minutes", async () => {
    await open(2, 0.01);
    await run(600_000);
    for (let slot = 0; slot < 8; slot++) {
      await submit();
      await run(2 * SLOT_MS);
    }
    expect(proved).toHaveLength(8);
    expect(proved.filter(({ leftOut }) => leftOut > 0)).toEqual([]);
  });

  test("never learns without a share of time for it", async () => {
    await open(2, 0);
    await run(60_000);
    expect(proofs).toBe(2);
    expect(childMs()).toBeGreaterThan(9000);
  });
});

describe("refreshes", () => {
  test("take at most their share of the time, after what they may take at once", async () => {
    await open(2, 0.01, 1);
    await run(3_600_000);
    const { values } = await metrics.refreshSeconds.get();
    expect(values[0]?.value).toBeGreaterThan(10);
    expect(values[0]?.value).toBeLessThan(0.01 * 3600 + 12 + 3);
  });

  // In slots of four seconds, there is room for a child only where one takes less than two.
  test.each([
    [4000, 0.4],
    [6000, 1],
    [12_000, 1],
  ])("let no group of a slot of %d ms wait", async (slotMs, slowness) => {
    await open(2, 0.1, slowness);
    load = slowness;
    for (let slot = 0; slot < 200; slot++) {
      await run(((slot * 7919) % 100) + 1);
      await submit(0);
      await run(slotMs - 100);
    }
    expect(waits).toHaveLength(200);
    expect(Math.max(...waits)).toBe(0);
    expect(await counted("learned")).toBeGreaterThan(0);
    expect(await counted("stopped")).toBe(0);
  });

  test("yield to a group that comes against the rhythm, and the standby proves it", async () => {
    await open(2, 0.1, 1);
    await run(600_000);
    while (lane.phase.kind !== "refreshing") await run(100);
    await submit(0);
    await run(2000);
    expect(waits).toEqual([EXIT_MS]);
    expect(proved).toHaveLength(1);
    expect(await counted("stopped")).toBe(1);
  });
});
