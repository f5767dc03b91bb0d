/** Plans of simulated fleets by name, each for one thing that can fail, and what must follow. */
import { Random } from "../../random.js";
import { calmWeather, drawPlan, SLOT_MS, SUBMIT_AT_MS } from "./fleet-plan.js";
import type { FleetReport } from "../fleet-truth.js";
import { FleetWorld } from "../fleet-world.js";
import type { Scenario } from "./scenario.js";
import {
  adoptedNotRepeated,
  amidProofs,
  calm,
  noVoteLost,
  patient,
  promisesOnly,
  quiet,
} from "./scenario.js";
import { workScenarios } from "./work-scenarios.js";

/** A snapshot that comes while the engine is down is skipped: the node decides. */
const nothingAcceptedLost = (report: FleetReport) =>
  noVoteLost(report).filter((each) => !each.includes("no_prover"));

/** Each row of the table of failures in docs/adr/0018-the-fleet.md, and some more. */
export const scenarios = {
  nothing: calm(() => [], noVoteLost),
  door_killed: calm(
    (random) => [{ kind: "kill", process: "door-0", atMs: amidProofs(random), backInMs: Infinity }],
    adoptedNotRepeated,
  ),
  door_killed_and_back: calm(
    (random) => [{ kind: "kill", process: "door-0", atMs: amidProofs(random), backInMs: 300 }],
    noVoteLost,
  ),
  door_frozen: calm(
    (random) => [
      {
        kind: "freeze",
        process: "door-0",
        atMs: amidProofs(random),
        forMs: random.between(200, 8000),
      },
    ],
    noVoteLost,
  ),
  door_cut_off: calm(
    (random) => [
      { kind: "cut", process: "door-0", atMs: amidProofs(random), forMs: random.between(50, 600) },
    ],
    noVoteLost,
  ),
  door_muted: calm(
    (random) => [
      {
        kind: "mute",
        process: "door-0",
        atMs: amidProofs(random),
        forMs: random.between(200, 3000),
      },
    ],
    promisesOnly,
  ),
  door_deafened: calm(
    (random) => [
      {
        kind: "deaf",
        process: "door-0",
        atMs: amidProofs(random),
        forMs: random.between(200, 3000),
      },
    ],
    promisesOnly,
  ),
  door_out_of_reach_of_nodes: calm(
    (random) => [{ kind: "unreachable", process: "door-0", atMs: amidProofs(random), forMs: 3000 }],
    noVoteLost,
  ),
  prover_dies: calm(
    (random) => [{ kind: "prover_dies", process: "host-0", atMs: amidProofs(random) }],
    noVoteLost,
    patient,
  ),
  prover_hangs: calm(
    (random) => [{ kind: "prover_hangs", process: "host-0", atMs: amidProofs(random) }],
    promisesOnly,
  ),
  host_killed: calm(
    (random) => [{ kind: "kill", process: "host-0", atMs: amidProofs(random), backInMs: Infinity }],
    noVoteLost,
    patient,
  ),
  host_killed_and_back: calm(
    (random) => [{ kind: "kill", process: "host-0", atMs: amidProofs(random), backInMs: 200 }],
    noVoteLost,
    patient,
  ),
  host_frozen: calm(
    (random) => [
      {
        kind: "freeze",
        process: "host-0",
        atMs: amidProofs(random),
        forMs: random.between(200, 8000),
      },
    ],
    noVoteLost,
    patient,
  ),
  host_cut_off: calm(
    (random) => [
      {
        kind: "cut",
        process: "host-0",
        atMs: amidProofs(random),
        forMs: random.between(200, 8000),
      },
    ],
    noVoteLost,
    patient,
  ),
  host_muted: calm(
    (random) => [
      {
        kind: "mute",
        process: "host-0",
        atMs: amidProofs(random),
        forMs: random.between(200, 8000),
      },
    ],
    noVoteLost,
    patient,
  ),
  host_deafened: calm(
    (random) => [
      {
        kind: "deaf",
        process: "host-0",
        atMs: amidProofs(random),
        forMs: random.between(200, 8000),
      },
    ],
    promisesOnly,
  ),
  host_drained: calm(
    (random) => [{ kind: "drain", process: "door-0", atMs: amidProofs(random), forMs: 5000 }],
    noVoteLost,
    patient,
  ),
  engine_server_lost: calm(
    (random) => [{ kind: "outage", atMs: amidProofs(random), forMs: random.between(20, 100) }],
    nothingAcceptedLost,
    patient,
  ),
  engine_down: calm(
    (random) => [{ kind: "outage", atMs: amidProofs(random), forMs: random.between(500, 3000) }],
    promisesOnly,
  ),
  engine_down_with_own_devices: calm(
    (random) => [
      { kind: "outage", atMs: 2 * SLOT_MS + random.between(0, SUBMIT_AT_MS), forMs: 3000 },
    ],
    noVoteLost,
    { ...patient, ownDevices: 2 },
  ),
  all_doors_killed: calm((random) => {
    const atMs = amidProofs(random);
    return [
      { kind: "kill", process: "door-0", atMs, backInMs: 1000 },
      { kind: "kill", process: "door-1", atMs, backInMs: 1000 },
    ];
  }, promisesOnly),
  all_hosts_killed: calm((random) => {
    const atMs = amidProofs(random);
    return [
      { kind: "kill", process: "host-0", atMs, backInMs: 1000 },
      { kind: "kill", process: "host-1", atMs, backInMs: 1000 },
    ];
  }, promisesOnly),
  rolling_upgrade: calm(
    (random) => {
      const startMs = SLOT_MS + random.between(0, SLOT_MS);
      return ["door-0", "door-1", "host-0", "host-1"].map((process, at) => {
        return { kind: "restart", process, atMs: startMs + 3000 * at };
      });
    },
    noVoteLost,
    patient,
  ),
  messages_lost: {
    plan: () => ({ ...quiet, weather: { ...calmWeather, loss: 0.1, doubling: 0.1 } }),
    expect: promisesOnly,
  },
  messages_late: {
    plan: () => ({ ...quiet, weather: { ...calmWeather, delayed: 0.3, delayMs: 500 } }),
    expect: promisesOnly,
  },
  wrong_bytes: {
    plan: () => ({ ...quiet, weather: { ...calmWeather, lies: 0.2 } }),
    expect: promisesOnly,
  },
  // Which door gets a lane is by chance: neither is kept from it.
  doors_shared: calm(
    () => [],
    ({ turns }) => {
      const counts = [turns["door-0"] ?? 0, turns["door-1"] ?? 0];
      return Math.min(...counts) < 3 ? [`doors had ${counts.join(" and ")} turns`] : [];
    },
    {
      ...{ hosts: 1, nodes: 4, groups: 3, slots: 4, isOneOrder: false },
      budgets: { deadlineMs: 6000, fenceMs: 8000 },
    },
  ),
  ...workScenarios,
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;

export function isScenario(name: string): name is ScenarioName {
  return Object.hasOwn(scenarios, name);
}

/** Runs the random plan of this seed, or that of a scenario. */
export async function runFleet(
  seed: number,
  { scenario, isTraced = false }: { scenario?: ScenarioName | undefined; isTraced?: boolean } = {},
): Promise<FleetReport> {
  const named: Scenario | undefined = scenario === undefined ? undefined : scenarios[scenario];
  // Apart from the world's own numbers: a change of the world meets the same faults.
  const plan = (named?.plan ?? drawPlan)(new Random(seed));
  const report = await new FleetWorld(seed, plan, { isTraced }).run();
  return { ...report, violations: [...report.violations, ...(named?.expect(report) ?? [])] };
}

/** The command that replays the schedule. */
export function replayCommand(seed: number, scenario?: ScenarioName): string {
  return `make sim-fleet SEED=${seed}${scenario === undefined ? "" : ` SCENARIO=${scenario}`}`;
}
