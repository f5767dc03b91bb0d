/** The report's plots: what the budget over a proof's cost makes of each policy. Pure. */
import type { Series } from "../harness/plot.js";
import { plot } from "../harness/plot.js";
import type { BurstComparison, Reached } from "./evaluate.js";
import { policies } from "./evaluate.js";
import { sharesOf } from "./goals.js";
import type { Measures } from "./measures.js";
import type { Findings } from "./tables.js";
import { total } from "./tables.js";
import { share, unusableShare } from "./total.js";

export interface NamedPlot {
  file: string;
  title: string;
  svg: string;
}

export function plots({ evaluations, bursts }: Findings): NamedPlot[] {
  const budgets = [...new Set(evaluations.map(({ budgetOverCost }) => budgetOverCost))];
  const byPolicy = (of: (measures: Measures) => number): Series[] =>
    policies.map((name) => ({
      name,
      points: budgets.map((x) => {
        const own = total(evaluations, name, ({ budgetOverCost }) => budgetOverCost === x);
        return { x, value: 100 * of(own) };
      }),
    }));
  const againstOptimum = (name: string, of: (burst: BurstComparison) => Reached): Series => ({
    name,
    points: budgets.map((x) => {
      const own = bursts.filter(({ budgetOverCost }) => budgetOverCost === x);
      return { x, value: 100 * sharesOf(own, of, ({ groups }) => groups) };
    }),
  });
  return [
    draw("votes.svg", "Votes represented in time", byPolicy(votesShare)),
    draw("unusable.svg", "Prover time that nobody could use", byPolicy(unusableShare)),
    draw("optimum.svg", "Groups in time, small workloads", [
      againstOptimum("optimum", ({ optimum }) => optimum),
      ...policies.map((name) => againstOptimum(name, ({ reached }) => reached[name])),
    ]),
  ];
}

const votesShare = ({ represented, votes }: Measures) => share(represented, votes);

function draw(file: string, title: string, series: readonly Series[]): NamedPlot {
  const form = { isLogarithmic: false, isLine: true, windows: [] };
  const xName = "budget over a typical proof's cost";
  return { file, title, svg: plot(series, { title, unit: "%", xName, ...form }) };
}
