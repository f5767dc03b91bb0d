/**
 * Seeded schedules of a fleet in virtual time: real doors and lane hosts with clocks of their own, and
 * nodes with the adapter's real machine. Each thing that can fail has a scenario, and in random plans
 * all of them meet. A failure prints the command that replays it, and the end of its event log.
 */
import { expect, test } from "vitest";
import type { ScenarioName } from "../../tools/sim/fleet/plans/scenarios.js";
import {
  isScenario,
  replayCommand,
  runFleet,
  scenarios,
} from "../../tools/sim/fleet/plans/scenarios.js";

const SCHEDULES = process.env["LONG"] === "0" ? 50 : 300;
const BATCH = 50;
const SEEDS_PER_SCENARIO = 8;
/** Lines of the event log that a failure prints. */
const LOG_LINES = 60;

/** Runs the seeds. Returns, for the first one that breaks a promise, what a person has to see. */
async function firstBroken(seeds: readonly number[], scenario?: ScenarioName) {
  const endings: Record<string, number> = {};
  for (const seed of seeds) {
    const { violations, endings: own } = await runFleet(seed, { scenario });
    for (const [ending, count] of Object.entries(own))
      endings[ending] = (endings[ending] ?? 0) + count;
    if (violations.length === 0) continue;
    const { trace } = await runFleet(seed, { scenario, isTraced: true });
    const from = Math.max(0, trace.findIndex((line) => line.includes("BROKEN")) - LOG_LINES);
    const log = trace.slice(from, from + LOG_LINES + 1);
    return { broken: [replayCommand(seed, scenario), ...violations, ...log].join("\n"), endings };
  }
  return { broken: "", endings };
}

const range = (first: number, count: number) =>
  Array.from({ length: count }, (_, at) => first + at);

test.each(Object.keys(scenarios).filter(isScenario))(
  "in %s, every promise holds",
  async (scenario) => {
    const { broken } = await firstBroken(range(0, SEEDS_PER_SCENARIO), scenario);
    expect(broken).toBe("");
  },
);

test.each(range(0, SCHEDULES / BATCH).map((at) => at * BATCH))(
  "no promise breaks in the random fleets from seed %d",
  async (first) => {
    const { broken, endings } = await firstBroken(range(first, BATCH));
    expect(broken).toBe("");
    expect(endings["proved"]).toBeGreaterThan(BATCH);
  },
);

test("the same seed makes the same fleet, event by event", async () => {
  const [first, second] = await Promise.all([
    runFleet(7, { isTraced: true }),
    runFleet(7, { isTraced: true }),
  ]);
  expect(second.trace).toEqual(first.trace);
  expect(first.trace.length).toBeGreaterThan(100);
});
