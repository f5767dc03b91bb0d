/** The tables of who is ahead in weighted votes, and by how many points. Pure. */
import type { Evaluation } from "../measure/evaluate.js";
import { policies } from "../measure/evaluate.js";
import { inWords, percent } from "../measure/goals.js";
import type { Margin } from "../measure/margins.js";
import {
  budgetName,
  budgetsOf,
  marginOf,
  marginsByBudget,
  marginsByPair,
  marginsByWorkload,
  workloadsOf,
} from "../measure/margins.js";
import type { Table } from "./table.js";

export function marginTables(evaluations: readonly Evaluation[]): Table[] {
  const all = marginOf("all", evaluations);
  return [
    marginTable("Weighted votes, by budget over cost", [...marginsByBudget(evaluations), all]),
    marginTable("Weighted votes, by workload", [...marginsByWorkload(evaluations), all]),
    pairTable(evaluations),
  ];
}

function marginTable(title: string, margins: readonly Margin[]): Table {
  return {
    title,
    note: "Of the best possible weight. The last columns are the points by which ours is ahead of the best baseline, and its name.",
    head: ["", ...policies, "ahead by", "of"],
    rows: margins.map(({ name, shares, ahead, against }) => [
      name,
      ...policies.map((policy) => percent(shares.get(policy) ?? 0)),
      signed(ahead),
      against,
    ]),
  };
}

function pairTable(evaluations: readonly Evaluation[]): Table {
  const pairs = marginsByPair(evaluations);
  const behind = pairs.flat().flatMap((each) => (each !== undefined && each.ahead < 0 ? each : []));
  const named = behind.map(inWords).join("; ");
  const found = behind.length === 0 ? "Behind in none" : `Behind in ${behind.length}: ${named}`;
  return {
    title: "Ahead in weighted votes, each workload at each budget over cost",
    note: `Points by which ours is ahead of the best baseline. ${found}.`,
    head: ["", ...budgetsOf(evaluations).map(budgetName)],
    rows: workloadsOf(evaluations).map((name, at) => [
      name,
      ...(pairs[at] ?? []).map((each) => (each === undefined ? "" : signed(each.ahead))),
    ]),
  };
}

/** Points, above 0 when ours is ahead, below 0 when it is behind. */
function signed(ahead: number): string {
  const text = (100 * ahead).toFixed(1);
  if (text === "0.0" || text === "-0.0") return "0.0";
  return ahead > 0 ? `+${text}` : `−${text.slice(1)}`;
}
