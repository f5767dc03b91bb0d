/** What the schedule is to reach, judged on all workloads and budgets together. Pure. */
import type { BurstComparison, Reached } from "./evaluate.js";
import type { Measures } from "./measures.js";
import { share, unusableShare } from "./total.js";

export interface Goal {
  text: string;
  isMet: boolean;
  /** What was found. */
  found: string;
}

const UNUSABLE_MAX = 0.02;
const MISSED_MAX = 0.01;
const WRONGLY_REFUSED_MAX = 0.05;
const SHORT_OF_OPTIMUM_MAX = 0.05;

export function judge(ours: Measures, bursts: readonly BurstComparison[]): Goal[] {
  const { missed, proofs, refusals } = ours;
  const { accept, dispatch } = refusals;
  const refused = accept.all + dispatch.all;
  const wrongly = accept.wouldHaveMadeIt + dispatch.wouldHaveMadeIt;
  const short = shortOfOptimum(bursts);
  const goal = (text: string, found: number, max: number, of: string): Goal => ({
    text,
    isMet: found <= max,
    found: `${percent(found)}${of}`,
  });
  return [
    goal("prover time that nobody could use: under 2 %", unusableShare(ours), UNUSABLE_MAX, ""),
    goal(
      "proofs started that miss their fence: at most 1 %",
      share(missed, proofs),
      MISSED_MAX,
      `: ${missed} of ${proofs}`,
    ),
    goal(
      "refused by prediction that would have made it: at most 5 %",
      share(wrongly, refused),
      WRONGLY_REFUSED_MAX,
      `: ${accept.wouldHaveMadeIt} of ${accept.all} at accept, ${dispatch.wouldHaveMadeIt} of ${dispatch.all} at dispatch`,
    ),
    goal(
      "groups in time: within 5 points of the optimum",
      short.groups,
      SHORT_OF_OPTIMUM_MAX,
      ` short; by votes, of the most votes, ${percent(short.votes)}`,
    ),
  ];
}

/** Of the optimum, as shares of what was asked. */
function shortOfOptimum(bursts: readonly BurstComparison[]): Reached {
  const of = (pick: (reached: Reached) => number) =>
    sharesOf(bursts, ({ optimum }) => optimum, pick) -
    sharesOf(bursts, ({ reached }) => reached.ours, pick);
  return { groups: of(({ groups }) => groups), votes: of(({ votes }) => votes) };
}

/** A share of all that was asked in the bursts. */
export function sharesOf(
  bursts: readonly BurstComparison[],
  whose: (burst: BurstComparison) => Reached,
  pick: (reached: Reached) => number,
): number {
  const sum = (of: (burst: BurstComparison) => Reached) =>
    bursts.reduce((total, burst) => total + pick(of(burst)), 0);
  return share(
    sum(whose),
    sum(({ asked }) => asked),
  );
}

export function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}
