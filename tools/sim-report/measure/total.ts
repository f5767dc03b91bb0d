/** Measures of several runs, added up, and the shares that are reported. */
import type { Evaluation, Policy } from "./evaluate.js";
import type { Measures } from "./measures.js";
import { share } from "./statistics.js";

export function total(
  evaluations: readonly Evaluation[],
  policy: Policy,
  isIn: (evaluation: Evaluation) => boolean = () => true,
): Measures {
  return addUp(evaluations.filter(isIn).map(({ measures }) => measures[policy]));
}

function addUp(all: readonly Measures[]): Measures {
  const sum = (pick: (each: Measures) => number) =>
    all.reduce((total, each) => total + pick(each), 0);
  const refusals = (where: "accept" | "dispatch") => ({
    all: sum((each) => each.refusals[where].all),
    wouldHaveMadeIt: sum((each) => each.refusals[where].wouldHaveMadeIt),
  });
  const endings: Record<string, number> = {};
  for (const each of all)
    for (const [ending, count] of Object.entries(each.endings))
      endings[ending] = (endings[ending] ?? 0) + count;
  return {
    groups: sum(({ groups }) => groups),
    inTime: sum(({ inTime }) => inTime),
    whole: sum(({ whole }) => whole),
    votes: sum(({ votes }) => votes),
    represented: sum(({ represented }) => represented),
    worthMax: sum(({ worthMax }) => worthMax),
    worth: sum(({ worth }) => worth),
    proverMs: sum(({ proverMs }) => proverMs),
    wastedMs: {
      missed: sum(({ wastedMs }) => wastedMs.missed),
      preempted: sum(({ wastedMs }) => wastedMs.preempted),
      duplicate: sum(({ wastedMs }) => wastedMs.duplicate),
    },
    proofs: sum(({ proofs }) => proofs),
    missed: sum(({ missed }) => missed),
    refusals: { accept: refusals("accept"), dispatch: refusals("dispatch") },
    preemptions: sum(({ preemptions }) => preemptions),
    needless: sum(({ needless }) => needless),
    queueMs: all.flatMap(({ queueMs }) => queueMs),
    backlog: {
      groups: sum(({ backlog }) => backlog.groups),
      inTime: sum(({ backlog }) => backlog.inTime),
      waitMs: all.flatMap(({ backlog }) => backlog.waitMs),
    },
    jain: all.flatMap((each) => each.jain),
    quiet: all.flatMap(({ quiet }) => quiet),
    endings,
  };
}

/** Of what the votes could be worth at best. */
export function worthShare({ worth, worthMax }: Measures): number {
  return share(worth, worthMax);
}

export function wronglyRefused({ refusals: { accept, dispatch } }: Measures) {
  const wrongly = accept.wouldHaveMadeIt + dispatch.wouldHaveMadeIt;
  return { wrongly, refused: accept.all + dispatch.all };
}

export function wastedShare({ wastedMs, proverMs }: Measures): number {
  const total = Object.values(wastedMs).reduce((sum, ms) => sum + ms, 0);
  return share(total, proverMs);
}
