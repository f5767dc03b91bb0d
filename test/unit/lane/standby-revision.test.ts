/** A library that is replaced by another revision while its device proves with the one before. */
import { beforeEach, expect, test } from "vitest";
import type { CostStore } from "../../../server/lane/costs/cost-file.js";
import { Lane } from "../../../server/lane/lane.js";
import type { Announcement } from "../../../server/lane/lane-messages.js";
import { createLog } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Prover } from "../../../server/prover/prover.js";
import { VirtualClock } from "../../../tools/sim/virtual-clock.js";

let clock: VirtualClock;
let lane: Lane;
let revision: string;
let provers: Prover[];
let announced: Announcement[];
let loaded: string[];

const costStore: CostStore = {
  load: (_device, proofSystem) => void loaded.push(proofSystem),
  save: () => undefined,
};

function startProver(): Prover {
  const prover = startFakeProver({ proveMs: () => 100, sleep: (ms) => clock.sleep(ms) });
  const description = { ...prover.description, revision };
  const revised = Object.assign(prover, { description, ready: Promise.resolve(description) });
  provers.push(revised);
  return revised;
}

async function run(ms: number): Promise<void> {
  await clock.runUntil(clock.nowMs() + ms, () => undefined);
}

beforeEach(async () => {
  clock = new VirtualClock();
  [provers, announced, loaded, revision] = [[], [], [], "r1"];
  const options = { standbyBytesMax: 1e9, residentBytesMax: 3e9, refreshShare: 0 };
  lane = new Lane({ id: "cpu", startProver, costStore }, options, {
    clock,
    log: createLog("silent"),
    metrics: createMetrics(["cpu"]),
    emit: (message) => {
      if (message.kind === "announce") announced.push(message);
    },
  });
  lane.open();
  await run(2000);
});

test("a standby of another revision is refused, and the device goes on with its own", async () => {
  expect(announced.at(-1)).toMatchObject({ isStandbyReady: true, description: { revision: "r1" } });
  revision = "r2";
  lane.receive({ kind: "command", number: 1, command: { kind: "restart", role: "standby" } });
  await run(5000);
  expect(announced.at(-1)).toMatchObject({
    phase: { kind: "idle" },
    isStandbyReady: false,
    description: { revision: "r1" },
    standbyCause: expect.stringContaining("its library now proves fake r2") as string,
  });
  expect(lane.verifyingProvers().map(({ description }) => description.revision)).toEqual(["r1"]);
  expect(provers).toHaveLength(3);
});

test("its next active prover has the new revision, with costs of its own", async () => {
  expect(loaded).toEqual(["fake r1"]);
  revision = "r2";
  lane.receive({ kind: "command", number: 1, command: { kind: "restart", role: "standby" } });
  await run(2000);
  lane.receive({ kind: "command", number: 2, command: { kind: "restart", role: "active" } });
  await run(5000);
  expect(announced.at(-1)).toMatchObject({ isStandbyReady: true, description: { revision: "r2" } });
  expect(loaded).toEqual(["fake r1", "fake r2"]);
});
