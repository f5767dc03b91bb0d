/**
 * `make sim-report`: every workload at every budget under every policy, judged; tables on the
 * terminal, and as Markdown with plots in a folder.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RecordingError } from "../../server/recording/read-recording.js";
import type { Arguments } from "./arguments.js";
import { ArgumentError, readArguments } from "./arguments.js";
import type { BurstComparison, Evaluation } from "./measure/evaluate.js";
import { compareWithOptimum, evaluate } from "./measure/evaluate.js";
import { judge } from "./measure/goals.js";
import { plots } from "./show/plots.js";
import { recordedScenario } from "./scenario/recorded.js";
import type { Findings } from "./show/tables.js";
import { tables } from "./show/tables.js";
import { asMarkdown, asTerminal, goalsAsTerminal } from "./show/text.js";
import { drawScenario, smallWorkloads } from "./scenario/workloads.js";

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  try {
    const args = readArguments(argv);
    if ("print" in args) {
      process.stdout.write(args.print);
      return 0;
    }
    const findings = await run(args);
    write(args, findings);
    return args.isStrict && findings.goals.some(({ isMet }) => !isMet) ? 1 : 0;
  } catch (error) {
    const isWrong = error instanceof ArgumentError || error instanceof RecordingError;
    if (!isWrong) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

async function run({ seed, scenarios, chosen, budgets, recorded }: Arguments): Promise<Findings> {
  const evaluations: Evaluation[] = [];
  const bursts: BurstComparison[] = [];
  const startedAtMs = Date.now();
  for (const [at, workload] of chosen.entries()) {
    process.stderr.write(`${at + 1} of ${chosen.length}: ${workload.name} `);
    for (const budgetOverCost of budgets) {
      for (let nth = 0; nth < scenarios; nth++) {
        const scenario = drawScenario(workload, budgetOverCost, seed + nth);
        const evaluation = await evaluate(scenario);
        evaluations.push(evaluation);
        if (smallWorkloads.includes(workload))
          bursts.push(...compareWithOptimum(scenario, evaluation));
      }
      process.stderr.write(".");
    }
    process.stderr.write(` ${((Date.now() - startedAtMs) / 1000).toFixed(0)} s\n`);
  }
  for (const folder of recorded) {
    const scenario = recordedScenario(folder, seed);
    const leftOut = scenario.leftOut?.map((each) => `; ${each}`).join("") ?? "";
    process.stderr.write(`${scenario.workload}${leftOut}\n`);
    evaluations.push(await evaluate(scenario));
  }
  return { evaluations, bursts, goals: judge(evaluations, bursts) };
}

function write({ out, given }: Arguments, findings: Findings): void {
  const found = tables(findings);
  const drawn = plots(findings);
  for (const table of found.slice(1)) process.stdout.write(asTerminal(table));
  // Last, so that they are on the screen at the end.
  process.stdout.write(goalsAsTerminal(findings.goals));
  mkdirSync(out, { recursive: true });
  for (const { file, svg } of drawn) writeFileSync(join(out, file), svg);
  const command = `make sim-report ARGS="${given}"`;
  writeFileSync(join(out, "report.md"), asMarkdown(found, { command, plots: drawn }));
  process.stdout.write(`\n${join(out, "report.md")}\n`);
}
