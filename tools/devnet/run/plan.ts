/** Which runs the environment asks for, and which of them are there already. */
import { existsSync } from "node:fs";
import { wholeNumber, wholeNumberOf } from "../../harness/whole-number.js";
import { MODES } from "../node/aggregators/aggregator.js";
import { INTERVALS } from "../node/slot-time.js";
import { isDone, readRun, runPath } from "./run-file.js";
import type { RunOptions } from "./run-mode.js";
import { fitTo, readScenario, shifted } from "./scenario.js";

const NODES = 4;
const AGGREGATOR = 0;
/** `go` needs a toolchain that not everyone has. */
const MODES_DEFAULT = "inline,worker,remote,sidecar";
const SCENARIO_DEFAULT = "tools/devnet/scenarios/full.json";

/**
 * `MODES=remote:12,inline:6` or `remote,inline`: modes, and how many slots if not `SLOTS`; each with
 * every one of `SEED` and of `INTERVALS`, which may be lists. Throws for a value that cannot be.
 */
export function plannedRuns(env: NodeJS.ProcessEnv): RunOptions[] {
  const common = {
    slotMs: wholeNumberOf(env, "SLOT_MS", 6000),
    validators: wholeNumberOf(env, "VALIDATORS", 8),
    lookaheadSlots: wholeNumberOf(env, "LOOKAHEAD", 0, 0),
    folder: env["OUT"] ?? "out/devnet",
    nodes: NODES,
    aggregator: AGGREGATOR,
  };
  const scenario = readScenario(env["SCENARIO"] ?? SCENARIO_DEFAULT);
  return listOf(env, "SEED", "1").flatMap((seedText) => {
    const seed = wholeNumber(seedText, 1, `SEED has ${seedText}`);
    return listOf(env, "INTERVALS", "5").flatMap((text) => {
      const intervals = INTERVALS.find((each) => String(each) === text);
      if (intervals === undefined) throw new Error(`INTERVALS has ${text}, expected 4 or 5`);
      return modesOf(env).map(({ mode, slots }) => {
        if (mode === "go" && intervals !== 5)
          throw new Error("MODES has go, which takes INTERVALS=5");
        if (mode === "go" && scenario.componentsMax > 0)
          throw new Error(`MODES has go, which merges no bodies: SCENARIO is ${scenario.name}`);
        const planned = fitTo(shifted(scenario, seed), slots);
        return { ...common, mode, slots, seed, intervals, scenario: planned };
      });
    });
  });
}

/** The first of the runs, as far as they end by `UNTIL`, which is in seconds since 1970; without it all. */
export function endingBy(
  env: NodeJS.ProcessEnv,
  runs: readonly RunOptions[],
  nowMs: number,
): RunOptions[] {
  if (env["UNTIL"] === undefined) return [...runs];
  const leftMinutes = (wholeNumberOf(env, "UNTIL", 0, 0) * 1000 - nowMs) / 60_000;
  let minutes = 0;
  return runs.filter((run) => (minutes += minutesOf(run)) <= leftMinutes);
}

/** True when the run is there as it is asked for, and went to its end. */
export function isThere(run: RunOptions): boolean {
  const path = runPath(run.folder, run);
  if (!existsSync(path) || !isDone(path)) return false;
  const { header } = readRun(path);
  const { slots, slotMs, validators, lookaheadSlots } = run;
  return (
    header.slots === slots &&
    header.slotMs === slotMs &&
    header.validators === validators &&
    header.lookaheadSlots === lookaheadSlots &&
    JSON.stringify(header.scenario) === JSON.stringify(run.scenario)
  );
}

/** How long a run takes, in minutes. */
export const minutesOf = ({ slots, slotMs }: RunOptions): number => ((slots + 6) * slotMs) / 60_000;

function modesOf(env: NodeJS.ProcessEnv) {
  return listOf(env, "MODES", MODES_DEFAULT).map((entry) => {
    const [name, ...own] = entry.split(":");
    const mode = MODES.find((each) => each === name);
    if (mode === undefined)
      throw new Error(`MODES has ${String(name)}, expected ${MODES.join(", ")}`);
    if (own.length === 0) return { mode, slots: wholeNumberOf(env, "SLOTS", 200) };
    return { mode, slots: wholeNumber(own.join(":"), 1, `MODES has ${entry}`) };
  });
}

const listOf = (env: NodeJS.ProcessEnv, name: string, byDefault: string): string[] =>
  (env[name] ?? byDefault).split(",");
