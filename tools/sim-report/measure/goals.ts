/** What the schedule is to reach. Pure. */
import type { BurstComparison, Evaluation, Reached } from "./evaluate.js";
import type { Margin } from "./margins.js";
import { budgetName, budgetsOf, marginsByBudget, marginsByWorkload } from "./margins.js";
import { share } from "./statistics.js";
import { total, wastedShare, wronglyRefused } from "./total.js";

export interface Goal {
  text: string;
  isMet: boolean;
  /** What was found. */
  found: string;
}

const GAP_MAX = 0.08;
const WASTED_MAX = 0.06;
const WRONGLY_REFUSED_MAX = 0.04;

export function judge(
  evaluations: readonly Evaluation[],
  bursts: readonly BurstComparison[],
): Goal[] {
  return [
    aheadGoal("at every budget", marginsByBudget(evaluations)),
    aheadGoal("in every workload", marginsByWorkload(evaluations)),
    gapGoal(bursts),
    wasteGoal(evaluations),
    refusalGoal(evaluations),
  ];
}

function aheadGoal(where: string, margins: readonly Margin[]): Goal {
  // Where all reach the same, as where there is time for everything, nobody can be ahead.
  const behind = margins.filter(({ ahead }) => ahead < 0);
  const least = margins.reduce<Margin | undefined>(
    (first, each) => (first === undefined || each.ahead < first.ahead ? each : first),
    undefined,
  );
  const found =
    behind.length > 0
      ? `behind in ${behind.length} of ${margins.length}: ${behind.map(inWords).join("; ")}`
      : least === undefined
        ? "nothing was run"
        : `least: ${inWords(least)}`;
  const text = `ahead of every baseline, or level, in weighted votes ${where}`;
  return { text, isMet: behind.length === 0, found };
}

/** Where, by how many points, against whom. */
export function inWords({ name, ahead, against }: Margin): string {
  return `${name}: ${points(ahead)} (${against})`;
}

function gapGoal(bursts: readonly BurstComparison[]): Goal {
  const text = "gap to the optimum in weighted votes: at most 8 points";
  if (bursts.length === 0) {
    return { text, isMet: true, found: "not judged: no small workload was run" };
  }
  const gap = gapToOptimum(bursts, ({ worth }) => worth);
  const budgets = [...new Set(bursts.map(({ budgetOverCost }) => budgetOverCost))];
  const worst = largest(budgets, (budget) =>
    gapToOptimum(
      bursts.filter(({ budgetOverCost }) => budgetOverCost === budget),
      ({ worth }) => worth,
    ),
  );
  const found = `${points(gap)}; at worst ${points(worst.value)} at ${worst.at}`;
  return { text, isMet: gap <= GAP_MAX, found };
}

function wasteGoal(evaluations: readonly Evaluation[]): Goal {
  const wasted = wastedShare(total(evaluations, "ours"));
  const worst = largest(budgetsOf(evaluations), (budget) =>
    wastedShare(total(evaluations, "ours", ({ budgetOverCost }) => budgetOverCost === budget)),
  );
  return {
    text: "wasted prover time: at most 6 %",
    isMet: wasted <= WASTED_MAX,
    found: `${percent(wasted)}; at worst ${percent(worst.value)} at ${budgetName(worst.at)}`,
  };
}

function refusalGoal(evaluations: readonly Evaluation[]): Goal {
  const measures = total(evaluations, "ours");
  const { accept, dispatch } = measures.refusals;
  const { wrongly, refused } = wronglyRefused(measures);
  const found = share(wrongly, refused);
  return {
    text: "wrongly refused by prediction: at most 4 %",
    isMet: found <= WRONGLY_REFUSED_MAX,
    found: `${percent(found)}: ${accept.wouldHaveMadeIt} of ${accept.all} at accept, ${dispatch.wouldHaveMadeIt} of ${dispatch.all} at dispatch`,
  };
}

function largest(budgets: readonly number[], of: (budget: number) => number) {
  return budgets
    .map((at) => ({ at, value: of(at) }))
    .reduce((first, each) => (each.value > first.value ? each : first), { at: 0, value: 0 });
}

/** As shares of what was asked. */
export function gapToOptimum(
  bursts: readonly BurstComparison[],
  pick: (reached: Reached) => number,
): number {
  return (
    sharesOf(bursts, ({ optimum }) => optimum, pick) -
    sharesOf(bursts, ({ reached }) => reached.ours, pick)
  );
}

/** A share of all that was asked in the bursts. */
export function sharesOf(
  bursts: readonly BurstComparison[],
  whose: (burst: BurstComparison) => Reached,
  pick: (reached: Reached) => number,
): number {
  const sum = (of: (burst: BurstComparison) => Reached) =>
    bursts.reduce((all, burst) => all + pick(of(burst)), 0);
  return share(
    sum(whose),
    sum(({ asked }) => asked),
  );
}

export function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

/** A difference of shares. */
function points(value: number): string {
  const text = (100 * value).toFixed(1);
  return `${text === "-0.0" ? "0.0" : text} points`;
}
