/**
 * `make sim-fleet SEED=n`: one simulated fleet, event by event; without SEED, many and their sum.
 * SCENARIO=name takes the plan of that scenario.
 */
import { wholeNumberOf } from "../../harness/whole-number.js";
import type { FleetReport } from "./fleet-truth.js";
import { isScenario, runFleet, scenarios } from "./plans/scenarios.js";
import type { ScenarioName } from "./plans/scenarios.js";

const COUNTS = ["proofs", "resubmitted", "adopted", "repeated", "unasked"] as const;
type Sum = Pick<FleetReport, "endings" | (typeof COUNTS)[number]>;

const SCHEDULES = wholeNumberOf(process.env, "COUNT", 300);

const { SEED: seed } = process.env;
const scenario = scenarioOf(process.env["SCENARIO"]);
if (seed !== undefined && !/^\d+$/.test(seed)) {
  process.stderr.write(`SEED is ${JSON.stringify(seed)}, expected a whole number\n`);
  process.exit(2);
}
process.exit((seed === undefined ? await many() : await replay(Number(seed))) === 0 ? 0 : 1);

function scenarioOf(name: string | undefined): ScenarioName | undefined {
  if (name === undefined || isScenario(name)) return name;
  const known = Object.keys(scenarios).join(", ");
  process.stderr.write(`SCENARIO is ${JSON.stringify(name)}, expected one of ${known}\n`);
  process.exit(2);
}

async function replay(seed: number): Promise<number> {
  const report = await runFleet(seed, { scenario, isTraced: true });
  for (const line of report.trace) process.stdout.write(`${line}\n`);
  process.stdout.write(`\nseed ${seed}: ${report.violations.length} promises broken\n`);
  printSum(report);
  for (const broken of report.violations) process.stdout.write(`  BROKEN  ${broken}\n`);
  for (const each of report.notProved) process.stdout.write(`  not proved  ${each}\n`);
  return report.violations.length;
}

async function many(): Promise<number> {
  let broken = 0;
  const sum: Sum = { endings: {}, proofs: 0, resubmitted: 0, adopted: 0, repeated: 0, unasked: 0 };
  for (let seed = 0; seed < SCHEDULES; seed++) {
    const report = await runFleet(seed, { scenario });
    if (report.violations.length > 0) broken++;
    for (const each of report.violations.slice(0, 1))
      process.stdout.write(`seed ${seed}: ${each}\n`);
    for (const [ending, count] of Object.entries(report.endings))
      sum.endings[ending] = (sum.endings[ending] ?? 0) + count;
    for (const what of COUNTS) sum[what] += report[what];
  }
  process.stdout.write(`\n${SCHEDULES} fleets, ${broken} with a broken promise\n`);
  printSum(sum);
  return broken;
}

function printSum({ endings, proofs, resubmitted, adopted, repeated, unasked }: Sum): void {
  process.stdout.write(`${proofs} proofs started, ${resubmitted} requests resubmitted\n`);
  const asked = Math.max(1, adopted + repeated);
  const share = Math.round((100 * adopted) / asked);
  process.stdout.write(`of proofs whose door died: ${adopted} adopted (${share} %), `);
  process.stdout.write(`${repeated} proved again, ${unasked} not asked for again\n`);
  for (const [ending, count] of Object.entries(endings).sort())
    process.stdout.write(`  ${String(count).padStart(6)}  ${ending}\n`);
}
