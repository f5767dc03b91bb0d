/**
 * `make sim-report`: every workload at every budget under every policy, judged; tables on the
 * terminal, and as Markdown with plots in a folder. `--strict` fails when a goal is missed.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { BurstComparison, Evaluation } from "./evaluate.js";
import { compareWithOptimum, evaluate } from "./evaluate.js";
import { judge } from "./goals.js";
import { plots } from "./plots.js";
import { tables, total } from "./tables.js";
import { asMarkdown, asTerminal } from "./text.js";
import { budgetsOverCost, drawScenario, smallWorkloads, workloads } from "./workloads.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** Scenarios a workload and budget. */
    scenarios: { type: "string", default: "2" },
    out: { type: "string", default: "docs/schedule" },
    strict: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
const scenarios = Number(values.scenarios);
if (!Number.isInteger(seed) || !Number.isInteger(scenarios) || scenarios < 1) {
  process.stderr.write("--seed and --scenarios are whole numbers\n");
  process.exit(2);
}

const evaluations: Evaluation[] = [];
const bursts: BurstComparison[] = [];
for (const workload of [...workloads, ...smallWorkloads]) {
  process.stderr.write(`${workload.name} `);
  for (const budgetOverCost of budgetsOverCost) {
    for (let nth = 0; nth < scenarios; nth++) {
      const scenario = drawScenario(workload, budgetOverCost, seed + nth);
      const evaluation = await evaluate(scenario);
      evaluations.push(evaluation);
      if (smallWorkloads.includes(workload))
        bursts.push(...compareWithOptimum(scenario, evaluation));
    }
    process.stderr.write(".");
  }
  process.stderr.write("\n");
}

const goals = judge(total(evaluations, "ours"), bursts);
const findings = { evaluations, bursts, goals };
const found = tables(findings);
for (const table of found) process.stdout.write(asTerminal(table));
const drawn = plots(findings);
mkdirSync(values.out, { recursive: true });
for (const { file, svg } of drawn) writeFileSync(join(values.out, file), svg);
const args = `--seed ${seed} --scenarios ${scenarios}`;
const command = `make sim-report ARGS="${args}"`;
const text = asMarkdown(found, { command, plots: drawn });
writeFileSync(join(values.out, "report.md"), text);
process.stdout.write(`\n${join(values.out, "report.md")}\n`);
if (values.strict && goals.some(({ isMet }) => !isMet)) process.exitCode = 1;
