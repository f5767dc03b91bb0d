/** The report's tables. Pure. */
import type { BurstComparison, Evaluation } from "../measure/evaluate.js";
import { policies } from "../measure/evaluate.js";
import type { Goal } from "../measure/goals.js";
import { percent } from "../measure/goals.js";
import { marginTables } from "./margin-tables.js";
import { budgetName, budgetsOf, workloadsOf } from "../measure/margins.js";
import type { Measures } from "../measure/measures.js";
import { optimumTables } from "./optimum-tables.js";
import type { Table } from "./table.js";
import { mean, quantile, share } from "../measure/statistics.js";
import { total, wastedShare, wronglyRefused, worthShare } from "../measure/total.js";

/** All runs of a report. */
export interface Findings {
  evaluations: readonly Evaluation[];
  /** Of the small workloads. */
  bursts: readonly BurstComparison[];
  goals: readonly Goal[];
}

export function tables({ evaluations, bursts, goals }: Findings): Table[] {
  const names = workloadsOf(evaluations);
  const budgets = budgetsOf(evaluations);
  const ours = (isIn: (evaluation: Evaluation) => boolean) => total(evaluations, "ours", isIn);
  return [
    goalTable(goals),
    ...marginTables(evaluations),
    ...optimumTables(bursts),
    {
      title: "Policies",
      note: "All workloads and budgets together. They ask for several times what the lanes can prove, on purpose.",
      head: ["", ...MAIN_HEAD],
      rows: policies.map((policy) => [
        policy,
        ...mainCells(total(evaluations, policy)).slice(0, policy === "ours" ? undefined : -1),
        // Whether a refusal was wrong is known of the service's forecast only.
        ...(policy === "ours" ? [] : ["not judged"]),
      ]),
    },
    {
      title: "Ours, by workload",
      head: ["", ...MAIN_HEAD],
      rows: names.map((name) => [name, ...mainCells(ours(({ workload }) => workload === name))]),
    },
    {
      title: "Ours, by budget over cost",
      head: ["", ...MAIN_HEAD],
      rows: budgets.map((budget) => [
        budgetName(budget),
        ...mainCells(ours(({ budgetOverCost }) => budgetOverCost === budget)),
      ]),
    },
    backlogTable(evaluations),
    floodTable(evaluations),
    ...evaluations.flatMap((each) => (each.then === undefined ? [] : [thenTable(each, each.then)])),
    endingTable(ours(() => true)),
  ];
}

function goalTable(goals: readonly Goal[]): Table {
  return {
    title: "Goals",
    head: ["goal", "met", "found"],
    rows: goals.map(({ text, isMet, found }) => [text, isMet ? "met" : "missed", found]),
  };
}

const MAIN_HEAD = [
  "groups",
  "whole",
  "votes",
  "weighted",
  "fairness",
  "queue p50",
  "p99",
  "wasted",
  "missed",
  "preempted",
  "duplicate",
  "proofs missed",
  "refused wrongly",
];

function mainCells(measures: Measures): string[] {
  const { groups, inTime, whole, votes, represented, proverMs, wastedMs } = measures;
  const { wrongly, refused } = wronglyRefused(measures);
  return [
    percent(share(inTime, groups)),
    percent(share(whole, groups)),
    percent(share(represented, votes)),
    percent(worthShare(measures)),
    mean(measures.jain).toFixed(2),
    seconds(quantile(measures.queueMs, 0.5)),
    seconds(quantile(measures.queueMs, 0.99)),
    percent(wastedShare(measures)),
    percent(share(wastedMs.missed, proverMs)),
    percent(share(wastedMs.preempted, proverMs)),
    percent(share(wastedMs.duplicate, proverMs)),
    percent(share(measures.missed, measures.proofs)),
    refused === 0 ? "none refused" : `${wrongly} of ${refused}`,
  ];
}

function backlogTable(evaluations: readonly Evaluation[]): Table {
  const own = ({ measures }: Evaluation) => measures.ours.backlog.groups > 0;
  return {
    title: "Backlog",
    note: "A preemption was needless when the killed proof would have ended before the latest start with which the one it was killed for is ready in the same step.",
    head: ["", "groups in time", "longest wait to start", "preemptions", "needless"],
    rows: policies.map((policy) => {
      const { backlog, preemptions, needless } = total(evaluations, policy, own);
      return [
        policy,
        percent(share(backlog.inTime, backlog.groups)),
        seconds(Math.max(0, ...backlog.waitMs)),
        `${preemptions}`,
        `${needless}`,
      ];
    }),
  };
}

function floodTable(evaluations: readonly Evaluation[]): Table {
  // Where the quiet nodes by themselves ask for no more than the lanes can prove.
  const own = ({ workload }: Evaluation) => workload === "flooding node";
  return {
    title: "Beside a flooding node",
    note: "Of the quiet nodes. The delay is from submission to the session's first start, in typical proofs; what never started has waited for its deadline.",
    head: ["", "snapshots started", "worst delay", "median delay"],
    rows: policies.map((policy) => {
      const { quiet } = total(evaluations, policy, own);
      const started = quiet.filter(({ hasStarted }) => hasStarted);
      const delays = quiet.map(({ delayProofs }) => delayProofs);
      return [
        policy,
        percent(share(started.length, quiet.length)),
        Math.max(0, ...delays).toFixed(1),
        quantile(delays, 0.5).toFixed(1),
      ];
    }),
  };
}

/** All groups, those that are not judged included. */
function thenTable({ workload, runs }: Evaluation, then: readonly string[]): Table {
  const now = runs.ours.asks.map(({ ending }) => ending);
  const count = (endings: readonly string[], name: string) =>
    `${endings.filter((each) => each === name).length}`;
  return {
    title: `How groups ended, ${workload}`,
    note: "Then, as recorded, and in the simulation.",
    head: ["ending", "then", "simulated"],
    rows: [...new Set([...then, ...now])]
      .sort()
      .map((name) => [name, count(then, name), count(now, name)]),
  };
}

function endingTable({ endings }: Measures): Table {
  return {
    title: "How our groups ended",
    head: ["ending", "groups"],
    rows: Object.entries(endings)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([ending, count]) => [ending, `${count}`]),
  };
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
