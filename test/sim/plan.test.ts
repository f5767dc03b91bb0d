/**
 * What `plan` answers beside what the real schedule makes of the same network, simulated: the shares
 * of votes by each step. Prints both.
 */
import { expect, test } from "vitest";
import type { Network } from "../../cli/plan/network.js";
import { groupsOf, stepsOf, subnetVotes } from "../../cli/plan/network.js";
import { planOf } from "../../cli/plan/plan.js";
import { freshCostModel, learn } from "../../server/work/costs/cost-model.js";
import type { GroupSpec } from "../../tools/sim-report/scenario/group-spec.js";
import type { Scenario, SnapshotSpec } from "../../tools/sim-report/scenario/scenario.js";
import { asksOf } from "../../tools/sim-report/scenario/scenario.js";
import { ServiceRun } from "../../tools/sim-report/policies/service-run.js";
import { tableMs, Truth } from "../../tools/sim-report/scenario/truth.js";

/** The plan knows no learning, and draws other times: shares differ by at most this. */
const OFF_MAX = 0.12;
const FIRST_SLOT = 3;
const LEARNING = 12;
const COUNTED = 24;
const SCATTER = 0.07;

const usual = { aggregators: 1, slotMs: 4000, intervals: 5, children: 0, deadlineMs: 750 };

test.each<[string, Network, number]>([
  [
    "96 votes in 3 subnets on 3 lanes, 5.9 s",
    { ...usual, validators: 96, subnets: 3, slotMs: 5900 },
    3,
  ],
  ["128 votes in 4 subnets on 2 lanes", { ...usual, validators: 128, subnets: 4 }, 2],
  [
    "192 votes in 3 subnets on 1 lane, 12 s, 4 intervals",
    { ...usual, validators: 192, subnets: 3, slotMs: 12_000, intervals: 4, deadlineMs: 3000 },
    1,
  ],
])("%s", async (name, network, lanes) => {
  const [row] = planOf(network, kindOfTruth(), [lanes]);
  const found = await simulated(network, lanes);
  const text = (shares: readonly number[]) => shares.map((s) => (100 * s).toFixed(1)).join(", ");
  process.stdout.write(`${name}: plan ${text(row?.readyBy ?? [])} %; schedule ${text(found)} %\n`);
  found.forEach((share, at) => {
    expect(Math.abs((row?.readyBy[at] ?? 0) - share)).toBeLessThan(OFF_MAX);
  });
});

/** A model that has learned the truth's times. */
function kindOfTruth() {
  let costs = freshCostModel;
  const shapes = [1, 16, 32, 64, 96].map((raws) => ({ raws, children: 0 }));
  for (let nth = 0; nth < 40; nth++) {
    for (const shape of shapes) costs = learn(costs, shape, tableMs(shape).rawMs, 0);
  }
  return {
    name: "truth",
    cores: 2,
    costs: { ...costs, scatter: SCATTER ** 2 },
    proverBytesOf: () => 1e9,
  };
}

async function simulated(network: Network, lanes: number): Promise<number[]> {
  const scenario = scenarioOf(network, lanes);
  const { asks } = await new ServiceRun(scenario).result();
  const ready = [0, 0, 0];
  let votes = 0;
  for (const [at, { snapshot, group }] of asksOf(scenario).entries()) {
    if (snapshot.atMs < scenario.judgedFromMs) continue;
    votes += group.raws.length;
    const { provedAtMs = Infinity, represented = [] } = asks[at] ?? {};
    for (const [step, { untilMs }] of stepsOf(network).entries()) {
      if (provedAtMs - snapshot.atMs < untilMs)
        ready[step] = (ready[step] ?? 0) + represented.length;
    }
  }
  return ready.map((sum) => sum / votes);
}

function scenarioOf(network: Network, lanes: number): Scenario {
  const { slotMs, intervals, deadlineMs } = network;
  const steps = stepsOf(network);
  const fenceMs = steps[2].untilMs;
  const snapshots: SnapshotSpec[] = [];
  const last = FIRST_SLOT + LEARNING + COUNTED;
  for (let slot = FIRST_SLOT; slot < last; slot++) {
    const atMs = slot * slotMs + ((intervals - 3) * slotMs) / intervals;
    for (let nth = 0; nth < groupsOf(network); nth++) {
      snapshots.push({
        ...{ atMs, node: `node-${nth}`, slot, priority: 2, deadlineMs, fenceMs, mayShed: true },
        steps: steps.map(({ untilMs, weight }) => ({ untilAtMs: atMs + untilMs, weight })),
        groups: [groupOf(slot, nth, subnetVotes(network))],
      });
    }
  }
  const speeds = Array.from({ length: lanes }, () => 1);
  const faults = { slow: 0, crashes: 0, drift: 0 };
  return {
    ...{ workload: "plan", seed: 1, lanes, snapshots, typicalMs: 1000, budgetOverCost: 1 },
    truth: new Truth({ seed: 1, speeds, childFactor: 1, scatter: SCATTER, ...faults }),
    judgedFromMs: (FIRST_SLOT + LEARNING) * slotMs,
    endMs: (last + 1) * slotMs + fenceMs,
    flooder: undefined,
  };
}

function groupOf(slot: number, nth: number, votes: number): GroupSpec {
  const root = Buffer.alloc(32);
  root.write(`${slot}/${nth}`);
  const raws = Array.from({ length: votes }, (_, at) => nth * votes + at);
  return { root: root.toString("hex"), slot, raws, children: [] };
}
