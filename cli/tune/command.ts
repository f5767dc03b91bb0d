/** `lean-aggregator tune`: adds the command. `run-tune.ts` measures. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { limits } from "../../server/limits.js";
import type { CommandModules } from "../io/command.js";
import { addCommand, ending } from "../io/command.js";
import { loaded } from "../io/load.js";
import { readFrom, settingsOptions, sourcesOf } from "../run/settings-sources.js";
import type { Goal } from "./goal.js";
import { goals } from "./goal.js";
import { tuneSettings } from "./settings.js";

const help = `
One proof does not fill many cores: four provers on 4 cores each make twice as
many proofs as one on 16. Each of them takes longer, though, and holds memory of
its own. How much of each depends on the machine, so 'tune' measures it: 1 lane
of all cores, 2 of half of them, and so on, each lane pinned to its cores, with
a proof on all lanes at once.

For each layout and shape of proof it shows how long half (p50) and nine tenths
(p90) of the proofs took at most, how many all lanes made a second, and memory.
Then it prints the devices of the best layout, as 'serve --devices' takes them:
  latency     a proof is ready soonest; for few groups, or a short slot
  throughput  most proofs a second; for many nodes
  balanced    most proofs a second for each second that one takes
The best is that over all shapes, each counting alike (the geometric mean).

The votes are those of the backend's calibration, 64 of the shipped one; a child
is a proof of one of them. Nothing else may prove meanwhile: tune takes the
locks of the devices in --runtime-dir, and does not start while a service holds
one. It takes about 50 s for each layout, and starts no proof after --minutes.
Ctrl-C ends it and shows what was measured. The report goes to standard error.

All devices of the settings may differ in name, cores and threads alone, as each
layout is made of copies of one: where they differ in more, such as "env" or
"prover", tune each with a settings file of its own.

Layouts are written as lanes x cores of each, such as 4x4, with a number of
threads where it is not that of the cores: 1x16/8.

Examples:
  lean-aggregator tune
  lean-aggregator tune --quick --raws 1,64 --layouts 1x16,4x4
  lean-aggregator serve --devices "$(lean-aggregator tune --goal throughput)"
  lean-aggregator tune --goal latency --write settings.json --svg layouts.svg
  lean-aggregator tune --out tune.json
  lean-aggregator plan --validators 1000 --costs tune.json

Exit codes:
  0  the devices are printed, or written
  1  a service holds a device, no prover can start, or it was interrupted
  2  a flag or setting is wrong
`;

const MINUTES_MAX = 24 * 60;
const RAWS_DEFAULT = [1, 32, 64];
const SHAPES_MAX = 8;

export function addTuneCommand(program: Command, modules: CommandModules): void {
  const summary = "measure how to divide this host's cores among provers";
  const command = addCommand(program, "tune", { summary, help })
    .addOption(
      new Option("--goal <goal>", "what the devices are chosen for")
        .choices(goals)
        .default("balanced" satisfies Goal),
    )
    .option("--quick", "few proofs of each layout: a rough picture in a quarter of the time")
    .addOption(
      new Option("--minutes <minutes>", "no proof starts later").default(10).argParser(minutes),
    )
    .addOption(
      new Option("--raws <counts>", "numbers of raw signatures to prove, separated by commas")
        .default(RAWS_DEFAULT, RAWS_DEFAULT.join(","))
        .argParser(rawCounts),
    )
    .option(
      "--layouts <list>",
      "layouts to measure, such as 1x16,4x4 (default: all that divide the cores)",
    )
    .option("--write <file>", "write the devices into a settings file, and keep its other settings")
    .option("--out <file>", "write everything measured as JSON, for 'plan --costs'")
    .option("--svg <file>", "draw what was measured");
  for (const option of settingsOptions(tuneSettings)) command.addOption(option);
  command.action(
    ending(modules, async (given: Record<string, unknown>) => {
      const {
        goal,
        quick = false,
        minutes: most,
        raws,
        layouts,
        write,
        out,
        svg,
        ...settings
      } = command.opts<TuneFlags>();
      void given;
      const config = readFrom(tuneSettings, sourcesOf(settings, modules.env));
      const { runTune } = await loaded(() => import("./run-tune.js"));
      return runTune(
        config,
        {
          ...{ goal, quick, minutes: most, raws },
          ...(layouts !== undefined && { layouts }),
          ...(write !== undefined && { write }),
          ...(out !== undefined && { out }),
          ...(svg !== undefined && { svg }),
        },
        modules,
      );
    }),
  );
}

interface TuneFlags {
  goal: Goal;
  quick?: boolean;
  minutes: number;
  raws: readonly number[];
  layouts?: string;
  write?: string;
  out?: string;
  svg?: string;
  [setting: string]: unknown;
}

function minutes(text: string): number {
  const value = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (value > 0 && value <= MINUTES_MAX) return value;
  throw new InvalidArgumentError(`Expected minutes above 0, at most ${MINUTES_MAX}.`);
}

function rawCounts(text: string): number[] {
  const counts = text.split(",").map((part) => (/^ ?\d{1,4}$/.test(part) ? Number(part) : 0));
  const areCounts = counts.every((count) => count >= 1 && count <= limits.validatorsMax);
  if (areCounts && counts.length <= SHAPES_MAX) return [...new Set(counts)];
  throw new InvalidArgumentError(
    `Expected at most ${SHAPES_MAX} numbers from 1 to ${limits.validatorsMax}, such as 1,32.`,
  );
}
