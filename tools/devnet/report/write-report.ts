/** Reads the files of the runs and writes the report beside them, or where it is to be kept. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mode } from "../node/aggregators/aggregator.js";
import { plot } from "../../harness/plot.js";
import { readRun } from "../run/run-file.js";
import { judge, type Aim } from "./aims.js";
import { markdown } from "./markdown.js";
import { longest, summarize } from "./summary.js";

/** Returns the aims and whether they are met. */
export function writeReport(
  modes: readonly Mode[],
  folders: { runs: string; report: string },
  command: string,
): Aim[] {
  const paths = modes.map((mode) => join(folders.runs, `${mode}.jsonl`)).filter(existsSync);
  const summaries = paths.map((path) => {
    const { header, records } = readRun(path);
    return summarize(header, records);
  });
  const aims = judge(summaries);
  const windows = longest(summaries)?.windows ?? [];
  const series = (pick: "aggregatingMs" | "lag") =>
    summaries.map((each) => ({
      name: each.header.mode,
      points: each[pick].map(({ slot, value }) => ({ x: slot, value })),
    }));
  mkdirSync(folders.report, { recursive: true });
  const write = (name: string, text: string) => writeFileSync(join(folders.report, name), text);
  const ticks = { title: "Tick of the aggregating interval", unit: "ms", xName: "slot", windows };
  write(
    "tick.svg",
    plot(series("aggregatingMs"), { ...ticks, isLogarithmic: true, isLine: false }),
  );
  const lag = { title: "Finality lag", unit: "slots", xName: "slot", windows };
  write("finality.svg", plot(series("lag"), { ...lag, isLogarithmic: false, isLine: true }));
  write("report.md", markdown(summaries, aims, command));
  return aims;
}
