/** The command line of the report. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Workload } from "./scenario/workloads.js";
import { budgetsOverCost, smallWorkloads, workloads } from "./scenario/workloads.js";

/** Recordings of devnets, each in a folder that has its workload's name. */
const OWN_RECORDINGS = "tools/sim-report/recorded";

const help = `make sim-report ARGS="…": judges the schedule on virtual time against other orders and an optimum.

  --seed N          the first world's seed; the same seed gives the same report (default 1)
  --scenarios N     worlds for each workload and budget (default 2)
  --workloads LIST  workloads to run, by a part of their names, with commas; each name counts
                    once it contains one of the parts (default: all)
  --budgets LIST    budgets to run, over a typical proof's cost, with commas (default: all of
                    ${budgetsOverCost.join(", ")})
  --recorded LIST   folders of 'lean-aggregator serve --record', with commas: workloads with the
                    budgets and the durations that were recorded; alone, without --workloads,
                    nothing else is run (default: those in ${OWN_RECORDINGS}; none
                    where only some workloads or budgets are run)
  --out DIR         folder for report.md and its plots (default docs/schedule; out/schedule where
                    only some workloads or budgets are run)
  --strict          exit 1 when a goal is missed
  --list            print the workloads and exit
  --help            print this and exit

  make sim-report ARGS="--scenarios 1 --workloads small,backlog --budgets 0.7,2"   # a quick look
  make sim-report ARGS="--recorded /tmp/recording"

Exit codes: 0 the report is written; 1 a goal is missed, with --strict; 2 an option is wrong.
`;

export interface Arguments {
  seed: number;
  scenarios: number;
  chosen: readonly Workload[];
  budgets: readonly number[];
  /** Folders of recordings. */
  recorded: readonly string[];
  out: string;
  isStrict: boolean;
  /** The options that choose the work, as they were given. */
  given: string;
}

export class ArgumentError extends Error {}

/** Returns the text to print instead where only help or the list was asked for. */
export function readArguments(argv: readonly string[]): Arguments | { print: string } {
  const values = parse(argv);
  if (values.help) return { print: help };
  const all = [...workloads, ...smallWorkloads];
  if (values.list) return { print: `${all.map(({ name }) => name).join("\n")}\n` };
  const { recorded: folders } = values;
  const isAlone = folders !== undefined && values.workloads === undefined;
  const chosen = isAlone ? [] : all.filter(({ name }) => isChosen(name, values.workloads));
  const isPart = [values.workloads, values.budgets, folders].some((each) => each !== undefined);
  const recorded = isPart ? (folders?.split(",") ?? []) : ownRecordings();
  if (chosen.length + recorded.length === 0) {
    throw new ArgumentError(
      `--workloads ${values.workloads ?? ""}: no name contains that; see --list`,
    );
  }
  const seed = whole("--seed", values.seed, 0);
  const scenarios = whole("--scenarios", values.scenarios, 1);
  const part = (["workloads", "budgets", "recorded"] as const).flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [` --${name} '${value}'`];
  });
  return {
    seed,
    scenarios,
    chosen,
    budgets: readBudgets(values.budgets),
    recorded,
    out: values.out ?? (isPart ? "out/schedule" : "docs/schedule"),
    isStrict: values.strict,
    given: `--seed ${seed} --scenarios ${scenarios}${part.join("")}`,
  };
}

const ownRecordings = () => readdirSync(OWN_RECORDINGS).map((name) => join(OWN_RECORDINGS, name));

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        seed: { type: "string", default: "1" },
        scenarios: { type: "string", default: "2" },
        workloads: { type: "string" },
        budgets: { type: "string" },
        recorded: { type: "string" },
        out: { type: "string" },
        strict: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new ArgumentError(error instanceof Error ? error.message : String(error));
  }
}

// A name may have a comma of its own, so a list is of parts of names.
function isChosen(name: string, list: string | undefined): boolean {
  return list === undefined || list.split(",").some((part) => part !== "" && name.includes(part));
}

function whole(flag: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least || text.trim() === "") {
    throw new ArgumentError(`${flag} ${text}: give a whole number from ${least} on`);
  }
  return value;
}

function readBudgets(list: string | undefined): readonly number[] {
  if (list === undefined) return budgetsOverCost;
  return list.split(",").map((text) => {
    const value = Number(text);
    if (Number.isFinite(value) && value > 0) return value;
    throw new ArgumentError(`--budgets ${list}: ${text} is no number above 0`);
  });
}
