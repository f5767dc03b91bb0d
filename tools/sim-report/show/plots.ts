/** The report's plots: what the budget over a proof's cost makes of each policy. Pure. */
import type { Series } from "../../harness/plot.js";
import { plot } from "../../harness/plot.js";
import type { BurstComparison, Reached } from "../measure/evaluate.js";
import { policies } from "../measure/evaluate.js";
import { sharesOf } from "../measure/goals.js";
import { heatMap } from "./heat-map.js";
import { budgetName, budgetsOf, marginsByPair, workloadsOf } from "../measure/margins.js";
import type { Measures } from "../measure/measures.js";
import { AS_RECORDED } from "../scenario/scenario.js";
import type { Findings } from "./tables.js";
import { share } from "../measure/statistics.js";
import { total, wastedShare, worthShare } from "../measure/total.js";

export interface NamedPlot {
  file: string;
  title: string;
  svg: string;
}

export function plots({ evaluations, bursts }: Findings): NamedPlot[] {
  const all = budgetsOf(evaluations);
  const budgets = all.filter((budget) => budget !== AS_RECORDED);
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
      return { x, value: 100 * sharesOf(own, of, ({ worth }) => worth) };
    }),
  });
  const ahead = heatMap({
    title: "Points ahead of the best baseline in weighted votes, by budget over cost",
    columns: all.map(budgetName),
    rows: workloadsOf(evaluations),
    values: marginsByPair(evaluations).map((row) =>
      row.map((margin) => (margin === undefined ? undefined : 100 * margin.ahead)),
    ),
  });
  const againstBest = [
    againstOptimum("optimum", ({ optimum }) => optimum),
    ...policies.map((name) => againstOptimum(name, ({ reached }) => reached[name])),
  ];
  return [
    draw("weighted.svg", "Weighted votes, of the best possible weight", byPolicy(worthShare)),
    { file: "ahead.svg", title: "Points ahead, each workload at each budget", svg: ahead },
    ...(bursts.length === 0
      ? []
      : [draw("optimum.svg", "Weighted votes, small workloads", againstBest)]),
    draw("votes.svg", "Votes represented in time", byPolicy(votesShare)),
    draw("wasted.svg", "Wasted prover time", byPolicy(wastedShare)),
  ];
}

const votesShare = ({ represented, votes }: Measures) => share(represented, votes);

function draw(file: string, title: string, series: readonly Series[]): NamedPlot {
  const form = { isLogarithmic: false, isLine: true, windows: [] };
  const xName = "budget over a typical proof's cost";
  return { file, title, svg: plot(series, { title, unit: "%", xName, ...form }) };
}
