/** Scenarios of a few groups, in which every duration is known. */
import type { GroupSpec } from "../../tools/sim-report/scenario/group-spec.js";
import type { Scenario, SnapshotSpec } from "../../tools/sim-report/scenario/scenario.js";
import type { TruthOptions } from "../../tools/sim-report/scenario/truth.js";
import { Truth, VERIFY_MS } from "../../tools/sim-report/scenario/truth.js";

export const exact: TruthOptions = {
  seed: 1,
  speeds: [1, 1],
  childFactor: 1,
  scatter: 0,
  slow: 0,
  crashes: 0,
  drift: 0,
};
/** One raw signature on a lane: 800 ms, verified before and after. */
export const ONE_MS = 800 + 2 * VERIFY_MS;
export const range = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) => from + at);

export function group(root: string, raws: number, children = 0): GroupSpec {
  const validators = range(raws);
  const sets = range(children).map((child) => [1000 + 2 * child, 1001 + 2 * child]);
  return { root, slot: 1, raws: validators, children: sets };
}

export function snapshot(atMs: number, groups: GroupSpec[], rest: Partial<SnapshotSpec> = {}) {
  const budget = { deadlineMs: 1000, fenceMs: 2000, ...rest };
  const spec: SnapshotSpec = {
    atMs,
    node: `node-${atMs}`,
    slot: 1,
    priority: 2,
    mayShed: false,
    steps: [{ untilAtMs: atMs + budget.fenceMs, weight: 1 }],
    ...budget,
    groups,
  };
  return spec;
}

export function scenario(snapshots: SnapshotSpec[], lanes = 1): Scenario {
  return {
    workload: "tiny",
    seed: 1,
    lanes,
    snapshots,
    truth: new Truth(exact),
    typicalMs: ONE_MS,
    budgetOverCost: 1,
    judgedFromMs: 0,
    endMs: 60_000,
    flooder: undefined,
  };
}
