/**
 * `make load`: many nodes at once use a service that runs in a process of its own, with a simulated
 * prover of two speeds. See `--help`.
 */
import { exitOnSignals } from "../../harness/processes/end-with-process.js";
import { quantile } from "../statistics.js";
import { table } from "../report.js";
import type { BenchService } from "../with-service.js";
import { withService } from "../with-service.js";
import { isFlat, slopePerMinute, sparkline } from "./memory-series.js";
import type { LoadOptions } from "./options.js";
import { LEVEL_AFTER_SECONDS, parseOptions, usage } from "./options.js";
import type { Counts, LoadResult } from "./run-load.js";
import { runLoad } from "./run-load.js";

const FAKE = ["--prover", "fake"];
const SPEEDS = [
  { name: "200 ms a proof: far more than one device can prove", script: undefined },
  {
    name: "1 ms a proof: nearly all can be proved",
    script: "dist/tools/bench/load/fast-service.js",
  },
] as const;
const PROBLEMS_SHOWN_MAX = 20;
const SPARKLINE_WIDTH = 72;

const say = (text: string) => process.stdout.write(`${text}\n`);
const tell = (text: string) => process.stderr.write(`${text}\n`);

function counts(title: string, of: Counts): string {
  const sorted = Object.entries(of).sort(([, a], [, b]) => b - a);
  const text = sorted.map(([name, count]) => `${name} ${String(count)}`).join(", ");
  return `  ${title}: ${text === "" ? "none" : text}`;
}

/** Prints the result. Returns the number of problems, with the streams that are down. */
function report(result: LoadResult, { streams, warmUpSeconds }: LoadOptions): number {
  const { ackMs, accepted, memory, measuredFrom } = result;
  const measured = memory.filter(({ atMs }) => atMs >= measuredFrom);
  const bytes = memory.map((sample) => sample.bytes);
  const mb = (value: number) => `${(value / 1e6).toFixed(0)} MB`;
  const rise = slopePerMinute(measured);
  const problems = [
    ...result.problems,
    ...(warmUpSeconds >= LEVEL_AFTER_SECONDS && !isFlat(measured)
      ? [`memory rises by ${mb(rise)} a minute`]
      : []),
  ];
  const row = {
    submissions: result.submissions,
    perSecond: result.perSecond,
    ackP50Ms: quantile(ackMs, 0.5),
    ackP99Ms: quantile(ackMs, 0.99),
    ackMaxMs: Math.max(...ackMs),
    accepted,
    settled: result.settled,
    streamsAlive: `${String(result.streamsAlive)} of ${String(streams)}`,
    breaks: result.breaks,
    problems: problems.length,
  };
  for (const line of table([row])) say(`  ${line}`);
  say(counts("skipped", result.skips));
  say(counts("call errors", result.errors));
  say(counts("outcomes, warm-up included", result.outcomes));
  say(`  resident ${sparkline(memory, SPARKLINE_WIDTH)}`);
  say(
    `  from ${mb(bytes[0] ?? NaN)} to ${mb(bytes.at(-1) ?? NaN)}, most ${mb(Math.max(...bytes))}; ` +
      `after ${String(warmUpSeconds)} s ${(rise / 1e6).toFixed(1)} MB a minute`,
  );
  for (const problem of problems.slice(0, PROBLEMS_SHOWN_MAX)) say(`  ${problem}`);
  const failed = Object.values(result.errors).reduce((sum, many) => sum + many, 0);
  if (accepted === 0) say("  no snapshot was accepted");
  return problems.length + streams - result.streamsAlive + failed + (accepted === 0 ? 1 : 0);
}

async function main(options: LoadOptions): Promise<number> {
  const { streams, perSecond, seconds, warmUpSeconds } = options;
  const minutes = (SPEEDS.length * (seconds + warmUpSeconds)) / 60;
  tell(`${streams} streams, ${perSecond} submissions a second, about ${minutes.toFixed(1)} min`);
  let problems = 0;
  for (const { name, script } of SPEEDS) {
    const run = (service: BenchService) => runLoad(service, options, (line) => tell(`  ${line}`));
    const result = await withService(run, FAKE, script);
    say(`\n${name}`);
    problems += report(result, options);
  }
  say(problems === 0 ? "\nnothing lost, nothing doubled" : `\n${String(problems)} problems`);
  return problems === 0 ? 0 : 1;
}

if (process.argv.includes("--help")) say(usage);
else {
  // Ctrl-C does not reach the service, as it has a process session of its own. The exit kills it.
  exitOnSignals();
  try {
    process.exit(await main(parseOptions(process.env)));
  } catch (error) {
    tell(`load: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  }
}
