/**
 * `make crowd`: many nodes at one service with the real prover, started anew for each scenario.
 * Reports what was expected of the schedule, and whether it was found. See `--help`.
 */
import { setTimeout as pause } from "node:timers/promises";
import { exitOnSignals } from "../../harness/processes/end-with-process.js";
import { table } from "../report.js";
import { withService } from "../with-service.js";
import { different } from "./different.js";
import { flood } from "./flood.js";
import { eightMembers, identical } from "./identical.js";
import type { Expectation, Scenario } from "./scenario.js";

const NODES = 8;
/** Time limit of a scenario, in milliseconds: several times what one takes. */
const SCENARIO_MS_MAX = 240_000;
const SLOTS = 4;

const usage = [
  "make crowd: the schedule at work, with the real prover and a served process; about 2 min",
  "",
  `  ${String(NODES)} nodes submit different snapshots at once; ${String(NODES)} submit the same votes at once, with other budgets,`,
  "  numbering and priority; one floods beside a quiet one, a hundred to one.",
  "",
  "Each scenario prints how its groups ended, what they waited for, and each expectation with what",
  "was found. Progress goes to stderr. Exit code 1 when an expectation did not hold.",
].join("\n");

const WITH_STANDBY = ["--standby", "1"];

const scenarios: readonly Scenario[] = [different(NODES), identical(eightMembers), flood(SLOTS)];

const say = (text: string) => process.stdout.write(`${text}\n`);
const tell = (text: string) => process.stderr.write(`${text}\n`);

function line({ what, found, holds }: Expectation): string {
  return `  ${holds ? "held" : "BROKEN"}: ${what}: ${found}`;
}

async function main(): Promise<number> {
  let broken = 0;
  for (const { name, run } of scenarios) {
    tell(`${name}: setting two provers up`);
    const result = await withService(async (service) => {
      // Setting up a prover takes all cores, so the scenario waits for both.
      await service.process.fullStrength();
      const hung = pause(SCENARIO_MS_MAX, undefined, { ref: false }).then(() => {
        throw new Error("the scenario does not end");
      });
      return Promise.race([run(service, (progress) => tell(`  ${progress}`)), hung]);
    }, WITH_STANDBY);
    const { rows, notes = [], expectations } = result;
    say(`\n${name}`);
    for (const text of [...table(rows), ...notes]) say(`  ${text}`);
    for (const expectation of expectations) say(line(expectation));
    broken += expectations.filter(({ holds }) => !holds).length;
  }
  say(broken === 0 ? "\nevery expectation held" : `\n${String(broken)} expectations did not hold`);
  return broken === 0 ? 0 : 1;
}

if (process.argv.includes("--help")) say(usage);
else {
  // Ctrl-C does not reach the service, as it has a process session of its own. The exit kills it.
  exitOnSignals();
  try {
    process.exit(await main());
  } catch (error) {
    tell(`crowd: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}
