/** The report's tables, as words: the terminal and the Markdown show the same. Pure. */
import type { BurstComparison, Evaluation, Policy, Reached } from "./evaluate.js";
import { policies } from "./evaluate.js";
import type { Goal } from "./goals.js";
import { percent, sharesOf } from "./goals.js";
import type { Measures } from "./measures.js";
import { addUp, mean, quantile, share, unusableShare } from "./total.js";

export interface Table {
  title: string;
  /** What the columns mean, where their heads do not say it. */
  note?: string;
  head: readonly string[];
  rows: readonly (readonly string[])[];
}

/** All runs of a report. */
export interface Findings {
  evaluations: readonly Evaluation[];
  /** Of the small workloads. */
  bursts: readonly BurstComparison[];
  goals: readonly Goal[];
}

export function tables({ evaluations, bursts, goals }: Findings): Table[] {
  const names = [...new Set(evaluations.map(({ workload }) => workload))];
  const budgets = [...new Set(evaluations.map(({ budgetOverCost }) => budgetOverCost))];
  const ours = (isIn: (evaluation: Evaluation) => boolean) => total(evaluations, "ours", isIn);
  return [
    goalTable(goals),
    {
      title: "Policies",
      note: "All workloads and budgets together. They ask for several times what the lanes can prove, on purpose.",
      head: ["", ...MAIN_HEAD],
      rows: policies.map((policy) => [policy, ...mainCells(total(evaluations, policy))]),
    },
    optimumTable(budgets, bursts),
    {
      title: "Ours, by workload",
      head: ["", ...MAIN_HEAD],
      rows: names.map((name) => [name, ...mainCells(ours(({ workload }) => workload === name))]),
    },
    {
      title: "Ours, by budget over cost",
      head: ["", ...MAIN_HEAD],
      rows: budgets.map((budget) => [
        `${budget}`,
        ...mainCells(ours(({ budgetOverCost }) => budgetOverCost === budget)),
      ]),
    },
    backlogTable(evaluations),
    floodTable(evaluations),
    endingTable(ours(() => true)),
  ];
}

export function total(
  evaluations: readonly Evaluation[],
  policy: Policy,
  isIn: (evaluation: Evaluation) => boolean = () => true,
): Measures {
  return addUp(evaluations.filter(isIn).map(({ measures }) => measures[policy]));
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
  "fairness",
  "queue p50",
  "p99",
  "unusable",
  "missed",
  "preempted",
  "duplicate",
  "proofs missed",
  "refused wrongly",
];

function mainCells(measures: Measures): string[] {
  const { groups, inTime, whole, votes, represented, proverMs, unusableMs } = measures;
  const { accept, dispatch } = measures.refusals;
  const refused = accept.all + dispatch.all;
  const wrongly = accept.wouldHaveMadeIt + dispatch.wouldHaveMadeIt;
  return [
    percent(share(inTime, groups)),
    percent(share(whole, groups)),
    percent(share(represented, votes)),
    mean(measures.jain).toFixed(2),
    seconds(quantile(measures.queueMs, 0.5)),
    seconds(quantile(measures.queueMs, 0.99)),
    percent(unusableShare(measures)),
    percent(share(unusableMs.missed, proverMs)),
    percent(share(unusableMs.preempted, proverMs)),
    percent(share(unusableMs.duplicate, proverMs)),
    percent(share(measures.missed, measures.proofs)),
    refused === 0 ? "none refused" : `${wrongly} of ${refused}`,
  ];
}

function optimumTable(budgets: readonly number[], bursts: readonly BurstComparison[]): Table {
  const whose: readonly [string, (burst: BurstComparison) => Reached][] = [
    ["all-knowing", ({ allKnowing }) => allKnowing],
    ["optimum", ({ optimum }) => optimum],
    ...policies.map((policy): [string, (burst: BurstComparison) => Reached] => [
      policy,
      ({ reached }) => reached[policy],
    ]),
  ];
  const cells = (own: readonly BurstComparison[]) =>
    whose.map(([, of]) => {
      const groups = sharesOf(own, of, (reached) => reached.groups);
      const votes = sharesOf(own, of, (reached) => reached.votes);
      return `${percent(groups)}, ${percent(votes)}`;
    });
  return {
    title: "Against the optimum, by budget over cost",
    note: "Groups and votes in time, in the small workloads. The optimum knows how long each proof will take, and like any service leaves no lane idle beside a group that may start; the all-knowing one also knows what will be submitted, and waits for it. Both keep the node's order.",
    head: ["", ...whose.map(([name]) => name)],
    rows: [
      ...budgets.map((budget) => [
        `${budget}`,
        ...cells(bursts.filter(({ budgetOverCost }) => budgetOverCost === budget)),
      ]),
      ["all", ...cells(bursts)],
    ],
  };
}

function backlogTable(evaluations: readonly Evaluation[]): Table {
  const own = ({ measures }: Evaluation) => measures.ours.backlog.groups > 0;
  return {
    title: "Backlog",
    note: "A preemption was needless when the killed proof would have ended before the latest start of the one it was killed for.",
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
