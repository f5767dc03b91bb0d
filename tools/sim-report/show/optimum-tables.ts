/** The tables that compare with the optimum, in the small workloads. Pure. */
import type { BurstComparison, Reached } from "../measure/evaluate.js";
import { policies } from "../measure/evaluate.js";
import { gapToOptimum, percent, sharesOf } from "../measure/goals.js";
import type { Table } from "./table.js";

type Whose = (burst: BurstComparison) => Reached;

const columns: readonly [string, Whose][] = [
  ["all-knowing", ({ allKnowing }) => allKnowing],
  ["optimum", ({ optimum }) => optimum],
  ...policies.map((policy): [string, Whose] => [policy, ({ reached }) => reached[policy]]),
];

export function optimumTables(bursts: readonly BurstComparison[]): Table[] {
  if (bursts.length === 0) return [];
  return [
    optimumTable(bursts, {
      title: "Weighted votes against the optimum, by budget over cost",
      note: "Of the best possible weight, in the small workloads. The optimum knows how long each proof will take, and like any service leaves no lane idle beside a group that may start; the all-knowing one also knows what will be submitted, and waits for it. Both keep the node's order and prove whole groups. The gap is in points.",
      pick: ({ worth }) => worth,
    }),
    optimumTable(bursts, {
      title: "Votes against the optimum, by budget over cost",
      pick: ({ votes }) => votes,
    }),
    optimumTable(bursts, {
      title: "Groups against the optimum, by budget over cost",
      pick: ({ groups }) => groups,
    }),
  ];
}

interface Form {
  title: string;
  note?: string;
  pick: (reached: Reached) => number;
}

function optimumTable(bursts: readonly BurstComparison[], { title, note, pick }: Form): Table {
  const cells = (own: readonly BurstComparison[]) => [
    ...columns.map(([, of]) => percent(sharesOf(own, of, pick))),
    (100 * gapToOptimum(own, pick)).toFixed(1),
  ];
  const budgets = [...new Set(bursts.map(({ budgetOverCost }) => budgetOverCost))];
  return {
    title,
    ...(note !== undefined && { note }),
    head: ["", ...columns.map(([name]) => name), "gap"],
    rows: [
      ...budgets.map((budget) => [
        `${budget}`,
        ...cells(bursts.filter(({ budgetOverCost }) => budgetOverCost === budget)),
      ]),
      ["all", ...cells(bursts)],
    ],
  };
}
