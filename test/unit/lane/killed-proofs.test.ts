/** A device that is slower than its costs say learns it from proofs that are killed at their fence. */
import { expect, test } from "vitest";
import { concat } from "../../../server/bytes.js";
import { Lane } from "../../../server/lane/lane.js";
import type { Assignment, FromLane } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log/log.js";
import { totalOf } from "../../../server/metrics/metric-table.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Prover } from "../../../server/prover/prover.js";
import { freshCostModel, predictMs } from "../../../server/work/costs/cost-model.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const [FENCE_MS, SETUP_MS] = [6400, 4000];
const SLOWNESS = 6;
const root = new Uint8Array(32).fill(8);
const validators = Array.from({ length: 128 }, (_, at) => at);
const keyOf = (validator: number) => new Uint8Array(32).fill(validator + 1);
const clock = new VirtualClock();

async function run(ms: number): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

/** A process that takes a while to set up. */
function startProver(): Prover {
  const prover = startFakeProver({
    proveMs: (shape) => SLOWNESS * predictMs(freshCostModel, shape),
    sleep: (ms) => clock.sleep(ms),
  });
  const ready = clock.sleep(SETUP_MS).then(() => prover.description);
  return Object.assign(prover, { ready });
}

function assignmentOf(nowMs: number): Assignment {
  return {
    work: {
      ...{ kind: "fold", message: { root, slot: 3 }, children: [], leftOut: [], logInvRate: 0 },
      raws: {
        validators,
        keys: concat(validators.map(keyOf)),
        signatures: concat(validators.map((each) => fakeSignature(keyOf(each), root, 3))),
      },
    },
    ...{ digest: "00", deadlineAtMs: nowMs + 750, fenceAtMs: nowMs + FENCE_MS, steps: [] },
    ...{ isFirstOfSession: true, isExploration: false, mayShed: true, minInputs: 1 },
    ...{ rotation: 0, isRetry: false },
  };
}

/** A lane whose prover and standby are set up. */
async function openLane() {
  const heard: FromLane[] = [];
  const options = { standbyBytesMax: Infinity, residentBytesMax: Infinity, refreshShare: 0 };
  const metrics = createMetrics(["cpu"]);
  const modules = { clock, log: createLog("silent"), metrics };
  const emit = (message: FromLane) => heard.push(message);
  const lane = new Lane({ id: "cpu", startProver }, options, { ...modules, emit });
  lane.open();
  await run(20_000);
  const lease = () => heard.findLast((each) => each.kind === "announce")?.lease ?? 0;
  return { lane, heard, metrics, lease };
}

// Each kill sets a standby up, beside which the next proof runs: those have to teach too.
test("and proves smaller parts in time, though each of them runs beside a set-up", async () => {
  const opened = await openLane();
  const { lane, heard } = opened;
  for (let attempt = 1; attempt <= 10; attempt++) {
    const lease = opened.lease();
    lane.receive({ kind: "assign", lease, attempt, assignment: assignmentOf(clock.nowMs()) });
    await run(FENCE_MS);
    lane.receive({ kind: "kill", lease, attempt, reason: "fence" });
    while (lane.phase.kind !== "idle") await run(50);
  }
  const proved = heard.flatMap((each) =>
    each.kind === "ended" && each.result.kind === "proved" ? [each.attempt] : [],
  );
  expect(proved).toContain(10);
  expect(proved.length).toBeGreaterThan(5);
  await lane.close();
});

test("the time of a killed proof is busy, and that of a drained device is not idle", async () => {
  const opened = await openLane();
  const { lane, metrics } = opened;
  const seconds = (state: string) => totalOf(metrics.deviceSeconds, { device: "cpu", state });
  const lease = opened.lease();
  lane.receive({ kind: "assign", lease, attempt: 1, assignment: assignmentOf(clock.nowMs()) });
  await run(400);
  expect(lane.phase.kind).toBe("proving");
  lane.receive({ kind: "kill", lease, attempt: 1, reason: "fence" });
  while (lane.phase.kind !== "idle") await run(50);
  expect(await totalOf(metrics.proofs)).toBe(0);
  expect(await seconds("proving")).toBeCloseTo(0.4);
  const before = await seconds("idle");
  await run(10_000);
  // Counted at each beat, twice a second.
  expect(Math.abs((await seconds("idle")) - before - 10)).toBeLessThanOrEqual(0.5);
  lane.receive({ kind: "command", number: 1, command: { kind: "drain", isDrained: true } });
  const drained = await seconds("idle");
  await run(10_000);
  expect(await seconds("idle")).toBe(drained);
  expect(await seconds("proving")).toBeCloseTo(0.4);
  await lane.close();
});

test("a proof beside a whole set-up of a standby teaches nothing", async () => {
  const opened = await openLane();
  const { lane, heard, metrics } = opened;
  const assign = (attempt: number) => {
    const own = assignmentOf(clock.nowMs());
    const fenceAtMs = clock.nowMs() + 60_000;
    const assignment = { ...own, fenceAtMs, mayShed: false };
    lane.receive({ kind: "assign", lease: opened.lease(), attempt, assignment });
  };
  assign(1);
  await run(400);
  lane.receive({ kind: "kill", lease: opened.lease(), attempt: 1, reason: "cancelled" });
  while (lane.phase.kind !== "idle") await run(50);
  assign(2);
  const begunAtMs = clock.nowMs();
  await run(50);
  while (lane.phase.kind !== "idle") await run(50);
  // The standby is missed for 3 s, then set up.
  expect(clock.nowMs() - begunAtMs).toBeGreaterThan(3000 + SETUP_MS + 500);
  expect(heard.findLast(({ kind }) => kind === "ended")).toMatchObject({
    result: { kind: "proved" },
  });
  expect(await totalOf(metrics.proofs, { disturbed: "true" })).toBe(1);
  await lane.close();
});
