/**
 * `make bench`: measures the service as its users run it, and reports whether the design's goals
 * are met. See `--help`. Each measurement has a file in this folder.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { exitOnSignals } from "../harness/processes/end-with-process.js";
import { acknowledgement } from "./acknowledgement.js";
import { loopLag } from "./loop-lag.js";
import type { Measurement } from "./measurement.js";
import { memory } from "./memory.js";
import { mergeOverhead } from "./overhead/merge-overhead.js";
import { parseOptions, usage } from "./options.js";
import type { BenchOptions } from "./options.js";
import { overhead } from "./overhead/overhead.js";
import { recording } from "./recording.js";
import { recovery } from "./recovery.js";
import { sectionJson, sectionText } from "./report.js";
import { tickCost } from "./tick-cost.js";

/** The measurements in the order in which they run. */
const MEASUREMENTS: readonly Measurement[] = [
  acknowledgement,
  recording,
  loopLag,
  tickCost,
  memory,
  recovery,
  overhead,
  mergeOverhead,
];

/** Share of the cores that other work may use at the start; beyond it, a warning is printed. */
const BUSY_SHARE = 0.25;
const RESULT_FILE = "out/bench.json";

const say = (text: string) => process.stdout.write(`${text}\n`);
const tell = (text: string) => process.stderr.write(`${text}\n`);

function machine() {
  return {
    cores: cpus().length,
    processor: cpus()[0]?.model.trim() ?? "unknown",
    memoryGb: Math.round(totalmem() / 1e9),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    loadAtStart: loadavg()[0] ?? NaN,
  };
}

async function main(options: BenchOptions): Promise<void> {
  const chosen = MEASUREMENTS.filter(({ name }) => options.only.includes(name));
  const minutes = (seconds: number) => `about ${Math.max(1, Math.round(seconds / 60))} min`;
  const seconds = chosen.reduce((sum, each) => sum + each.seconds(options), 0);
  tell(`${chosen.map(({ name }) => name).join(", ")}: ${minutes(seconds)} on two cores`);
  const sections: Record<string, ReturnType<typeof sectionJson>> = {};
  const host = machine();
  const { cores, processor, memoryGb, platform, node, loadAtStart } = host;
  const load = `load ${loadAtStart.toFixed(1)} at the start`;
  say(`machine: ${cores} cores, ${processor}, ${memoryGb} GB, ${platform}, Node ${node}, ${load}`);
  if (loadAtStart > cores * BUSY_SHARE) tell(`this machine is busy (${load}): expect noise`);
  for (const { name, run, seconds: expected } of chosen) {
    tell(`${name}: ${minutes(expected(options))}`);
    const section = await run(options, (line) => tell(`  ${name}: ${line}`));
    sections[name] = sectionJson(section);
    say(`\n${sectionText(section)}`);
  }
  mkdirSync("out", { recursive: true });
  const report = { machine: host, options, measurements: sections };
  writeFileSync(RESULT_FILE, `${JSON.stringify(report, null, 2)}\n`);
  say(`\nwritten to ${RESULT_FILE}`);
}

const names = MEASUREMENTS.map(({ name }) => name);
const byDefault = MEASUREMENTS.filter((each) => each.isOnRequest !== true).map(({ name }) => name);
if (process.argv.includes("--help")) say(usage(names));
else {
  // Ctrl-C does not reach the service, as it has a process session of its own. The exit kills it.
  exitOnSignals();
  try {
    await main(parseOptions(process.env, names, byDefault));
    process.exit(0);
  } catch (error) {
    tell(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}
