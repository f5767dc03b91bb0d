/** An attempt that nobody wants any more leaves the provers, and what it taught, to the next one. */
import { expect, test } from "vitest";
import { Lane } from "../../../server/lane/lane.js";
import type { Assignment, FromLane } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

const key = new Uint8Array(32).fill(7);
const root = new Uint8Array(32).fill(8);
const noRaws = { validators: [], keys: new Uint8Array(), signatures: new Uint8Array() };
const raws = { validators: [0], keys: key, signatures: fakeSignature(key, root, 3) };
const children = Array.from({ length: 5 }, (_, index) => {
  return { index, validators: [0], keys: key, proof: new Uint8Array([index]) };
});
const options = { residentBytesMax: 1e9, standbyBytesMax: Infinity, refreshShare: 0 };

/** A lane with a standby, and what its provers are asked to verify: no answer comes but by `answer`. */
async function laneOf(
  work: Pick<Extract<Assignment["work"], { kind: "fold" }>, "raws" | "children">,
) {
  const clock = new VirtualClock();
  const run = async (ms: number) => {
    await new Promise((resolve) => setImmediate(resolve));
    await clock.runUntil(clock.nowMs() + ms, () => undefined);
  };
  const heard: FromLane[] = [];
  const asked: ((isValid: boolean) => void)[] = [];
  let isHeld = false;
  const startProver = () => {
    const prover = startFakeProver({ proveMs: () => 300, sleep: (ms) => clock.sleep(ms) });
    const verify = prover.verify.bind(prover);
    return Object.assign(prover, {
      verify: (proof: Parameters<typeof verify>[0]) =>
        isHeld ? new Promise<boolean>((resolve) => asked.push(resolve)) : verify(proof),
    });
  };
  const modules = { clock, log: createLog("silent"), metrics: createMetrics(["cpu"]) };
  const emit = (each: FromLane) => void heard.push(each);
  const lane = new Lane({ id: "cpu", startProver }, options, { ...modules, emit });
  lane.open();
  await run(5000);
  isHeld = true;
  const announced = () => heard.findLast((each) => each.kind === "announce");
  const lease = announced()?.lease ?? 0;
  const message = { root, slot: 3 };
  const assignment: Assignment = {
    work: { kind: "fold", message, ...work, leftOut: [], logInvRate: 0 },
    ...{ digest: "00", deadlineAtMs: 1e6, fenceAtMs: 1e6, isFirstOfSession: true },
    ...{ steps: [], isExploration: false, isRetry: false, mayShed: false },
    ...{ minInputs: 1, rotation: 0 },
  };
  lane.receive({ kind: "assign", lease, attempt: 1, assignment });
  await run(1000);
  const kill = () => lane.receive({ kind: "kill", lease, attempt: 1, reason: "cancelled" });
  return {
    lane,
    run,
    asked,
    kill,
    costs: () => announced()?.costs.map(({ model }) => model.logMs),
  };
}

test("it asks no prover for a further verification", async () => {
  const { lane, run, asked, kill } = await laneOf({ raws: noRaws, children });
  expect(asked).toHaveLength(1);
  kill();
  asked[0]?.(true);
  await run(5000);
  expect(lane.phase.kind).toBe("idle");
  expect(asked).toHaveLength(1);
});

test("it teaches nothing more once its proof is made", async () => {
  const { run, asked, kill, costs } = await laneOf({ raws, children: [] });
  expect(asked).toHaveLength(1);
  const learned = costs();
  await run(1000);
  kill();
  await run(5000);
  expect(costs()).toEqual(learned);
});
