/** A device that is slower than its costs say learns it from proofs that are killed at their fence. */
import { expect, test } from "vitest";
import { concat } from "../../../server/bytes.js";
import { Lane } from "../../../server/lane/lane.js";
import type { Assignment, FromLane } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log/log.js";
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
const heard: FromLane[] = [];

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

// Each kill sets a standby up, beside which the next proof runs: those have to teach too.
test("and proves smaller parts in time, though each of them runs beside a set-up", async () => {
  const options = { standbyBytesMax: Infinity, residentBytesMax: Infinity, refreshShare: 0 };
  const modules = { clock, log: createLog("silent"), metrics: createMetrics(["cpu"]) };
  const emit = (message: FromLane) => heard.push(message);
  const lane = new Lane({ id: "cpu", startProver }, options, { ...modules, emit });
  lane.open();
  await run(20_000);
  for (let attempt = 1; attempt <= 10; attempt++) {
    const announced = heard.findLast((each) => each.kind === "announce");
    const lease = announced?.lease ?? 0;
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
});
