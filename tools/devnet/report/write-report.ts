/**
 * Reads the files of all runs of a folder that went to their end, and writes the report beside them,
 * or where it is to be kept. Runs that differ in their seed only are taken together.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MODES } from "../node/aggregators/aggregator.js";
import { plot } from "../../harness/plot.js";
import { isDone, readRun } from "../run/run-file.js";
import { judge, type Aim } from "./aims.js";
import { markdown, type Part } from "./markdown.js";
import { longest, summarizeRuns, type Run, type Summary } from "./summary.js";

/** Returns the aims and whether they are met. Throws when no run went to its end. */
export function writeReport(folders: { runs: string; report: string }, command: string): Aim[] {
  const paths = readdirSync(folders.runs)
    .filter((name) => name.endsWith(".jsonl"))
    .map((name) => join(folders.runs, name))
    .filter(isDone);
  const parts = partsOf(paths.map(readRun));
  mkdirSync(folders.report, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(folders.report, name), text);
  for (const { name, summaries } of parts) {
    write(`tick-${name}.svg`, tickPlot(summaries));
    write(`finality-${name}.svg`, lagPlot(summaries));
  }
  write("report.md", markdown(parts, command));
  return parts.flatMap(({ aims, name }) =>
    aims.map((aim) => ({ ...aim, text: parts.length === 1 ? aim.text : `${name}, ${aim.text}` })),
  );
}

class DifferentRunsError extends Error {
  override readonly name = "DifferentRunsError";
  constructor({ header: { folder, scenario, mode } }: Run) {
    super(
      `${folder} has runs of ${scenario.name} with other validators, slots' length or lookahead ` +
        `than its run of ${mode}; give another OUT, or remove them`,
    );
  }
}

const isLike = ({ header: a }: Run, { header: b }: Run): boolean =>
  a.slotMs === b.slotMs && a.validators === b.validators && a.lookaheadSlots === b.lookaheadSlots;

/** By scenario, then by intervals, the most first; in each, modes in their order. */
export function partsOf(runs: readonly Run[]): Part[] {
  const byPart = new Map<string, Run[]>();
  const bySeed = runs.toSorted((a, b) => a.header.seed - b.header.seed);
  for (const run of bySeed) {
    const { scenario, intervals } = run.header;
    const name = `${scenario.name}-${intervals}`;
    const own = byPart.get(name) ?? [];
    if (own[0] !== undefined && !isLike(own[0], run)) throw new DifferentRunsError(run);
    byPart.set(name, [...own, run]);
  }
  return [...byPart]
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .sort(([, [a]], [, [b]]) => (b?.header.slots ?? 0) - (a?.header.slots ?? 0))
    .map(([name, own]) => {
      const summaries = MODES.map((mode) => own.filter(({ header }) => header.mode === mode))
        .filter((of) => of.length > 0)
        .map(summarizeRuns);
      return { name, summaries, aims: judge(summaries) };
    });
}

const series = (summaries: readonly Summary[], pick: "aggregatingMs" | "lag") =>
  summaries.map((each) => ({
    name: each.header.mode,
    points: each[pick].map(({ slot, value }) => ({ x: slot, value })),
  }));

const windowsOf = (summaries: readonly Summary[]) => longest(summaries)?.windows ?? [];

function tickPlot(summaries: readonly Summary[]): string {
  const ticks = { title: "Tick of the aggregating interval", unit: "ms", xName: "slot" };
  const form = { isLogarithmic: true, isLine: false, windows: windowsOf(summaries) };
  return plot(series(summaries, "aggregatingMs"), { ...ticks, ...form });
}

function lagPlot(summaries: readonly Summary[]): string {
  const lag = { title: "Finality lag", unit: "slots", xName: "slot" };
  const form = { isLogarithmic: false, isLine: true, windows: windowsOf(summaries) };
  return plot(series(summaries, "lag"), { ...lag, ...form });
}
