/** One plan of a simulated fleet with a name, for one thing that can fail, and of what such plans are made. */
import type { Random } from "../../random.js";
import type { Fault, FleetPlan } from "./fleet-plan.js";
import { calmWeather, SLOT_MS, SUBMIT_AT_MS } from "./fleet-plan.js";
import type { FleetReport } from "../fleet-truth.js";

export interface Scenario {
  plan: (random: Random) => FleetPlan;
  /** What has to hold besides the promises that always do: returns what does not. */
  expect: (report: FleetReport) => string[];
}

/** Two doors and two hosts with a device each, and two nodes that ask for one proof a slot. */
export const quiet: FleetPlan = {
  doors: 2,
  hosts: 2,
  devicesPerHost: 1,
  ownDevices: 0,
  standbys: 1,
  nodes: 2,
  slots: 3,
  again: 0,
  groups: 1,
  budgets: { deadlineMs: 750, fenceMs: 6400 },
  isOneOrder: true,
  weather: calmWeather,
  faults: [],
};

export const noVoteLost = ({ notProved }: FleetReport) =>
  notProved.map((each) => `not proved: ${each}`);

export const adoptedNotRepeated = (report: FleetReport) => [
  ...noVoteLost(report),
  ...(report.repeated > 0 ? [`${report.repeated} proofs were repeated`] : []),
];

export const promisesOnly = () => [];

/** Time for a second proof on the same device, and for one after another that failed. */
export const patient = { budgets: { deadlineMs: 3000, fenceMs: 6400 } };

/** An instant in the second slot, around its proofs: they take about a second. */
export const amidProofs = (random: Random) => 2 * SLOT_MS + SUBMIT_AT_MS + random.between(0, 1200);

export function calm(
  faults: (random: Random) => readonly Fault[],
  expect: Scenario["expect"],
  size: Partial<FleetPlan> = {},
): Scenario {
  return { plan: (random) => ({ ...quiet, ...size, faults: faults(random) }), expect };
}
