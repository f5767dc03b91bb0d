/**
 * The measures, taken from a run's record alone. *In time*: taken up by a lane before its deadline,
 * its verified proof there before its fence.
 */
import type { AskResult, ProofRecord, RefusalRecord, Run } from "./run.js";
import type { Ask, Scenario, SnapshotSpec } from "../scenario/scenario.js";
import { asksOf, BACKLOG } from "../scenario/scenario.js";
import type { WeighedVotes } from "../scenario/votes.js";
import { countVotes, votesOf, weightAt } from "../scenario/votes.js";

/** Sums and lists, so that several runs add up. */
export interface Measures {
  /** Groups that a service of their own could prove in time, at least in part; no flooder's. */
  groups: number;
  inTime: number;
  whole: number;
  /** Distinct votes that those groups have beyond their best children, and those in time. */
  votes: number;
  represented: number;
  /** Sum over those votes of the weight that each could have at best, and of what it had. */
  worthMax: number;
  worth: number;
  proverMs: number;
  /** Of proofs that nobody had in time, by why; crashes apart. */
  wastedMs: Record<Waste, number>;
  proofs: number;
  missed: number;
  refusals: Record<RefusalRecord["at"], { all: number; wouldHaveMadeIt: number }>;
  /** Of the proofs that `proofs` counts, those of backlog that were killed for a higher class. */
  preemptions: number;
  needless: number;
  /** Milliseconds from submission to start, of groups that were started; backlog apart. */
  queueMs: number[];
  backlog: { groups: number; inTime: number; waitMs: number[] };
  /** Jain's index of each run, over the nodes' shares of what they asked; the flooder apart. */
  jain: number[];
  /** Each snapshot of a quiet node beside a flooder: from submission to its first start. */
  quiet: { hasStarted: boolean; delayProofs: number }[];
  endings: Record<string, number>;
}

export type Waste = "missed" | "preempted" | "duplicate";

export function measure(scenario: Scenario, run: Run): Measures {
  const asks = asksOf(scenario);
  const judged = asks.flatMap((ask, at) => {
    const result = run.asks[at];
    return result !== undefined && isJudged(scenario, ask) ? [{ ask, result }] : [];
  });
  const isStarted = (proof: { startedAtMs: number }) => proof.startedAtMs >= scenario.judgedFromMs;
  const proofs = run.proofs.filter(isStarted);
  const preemptions = run.preemptions.filter(isStarted);
  // What a flooder asks cannot be proved by anyone; it would drown what the others get.
  const others = judged.filter(({ ask }) => ask.snapshot.node !== scenario.flooder);
  const asked = others.filter(({ ask }) => isFeasible(scenario, ask));
  const inTime = others.filter(({ result }) => result.provedAtMs !== undefined);
  const possible = countVotes(
    asked.map(({ ask }) => {
      const { group } = ask;
      return { root: group.root, validators: votesOf(group), weight: bestWeight(scenario, ask) };
    }),
  );
  const reached = countVotes(inTime.map(reachedVotes));
  return {
    groups: asked.length,
    inTime: inTime.length,
    whole: inTime.filter(({ result }) => result.isWhole).length,
    votes: possible.votes,
    represented: reached.votes,
    worthMax: possible.worth,
    worth: reached.worth,
    ...proverTime(proofs),
    refusals: refusals(scenario, run),
    preemptions: preemptions.length,
    needless: preemptions.filter(({ isNeedless }) => isNeedless).length,
    queueMs: judged.flatMap(({ ask, result }) =>
      ask.snapshot.priority === BACKLOG || result.startedAtMs === undefined
        ? []
        : [result.startedAtMs - ask.snapshot.atMs],
    ),
    backlog: backlogOf(judged),
    jain: [jainOfNodes(scenario, judged)],
    quiet: scenario.flooder === undefined ? [] : quietSnapshots(scenario, judged),
    endings: counted(judged.map(({ result }) => result.ending)),
  };
}

interface Judged {
  ask: Ask;
  result: AskResult;
}

const isJudged = ({ judgedFromMs }: Scenario, { snapshot }: Ask) => snapshot.atMs >= judgedFromMs;

const isFeasible = (scenario: Scenario, ask: Ask) => bestWeight(scenario, ask) > 0;

/**
 * What a vote of the group can be worth at best: in the smallest part that may be proved, begun at
 * once on the fastest lane; 0 when not even that is ready before the fence.
 */
export function bestWeight({ truth, lanes }: Scenario, { group, snapshot }: Ask): number {
  const { atMs, mayShed, steps } = snapshot;
  const leastMs = Array.from({ length: lanes }, (_, lane) =>
    truth.smallestMs(lane, group, mayShed),
  );
  return weightAt(steps, atMs + Math.min(...leastMs));
}

function reachedVotes({ ask, result }: Judged): WeighedVotes {
  const { root } = ask.group;
  const weight = weightAt(ask.snapshot.steps, result.provedAtMs ?? Infinity);
  return { root, validators: result.represented, weight };
}

/** A proof is missed when its fence came first, whether it was killed or went on for nothing. */
function proverTime(proofs: readonly ProofRecord[]) {
  const wastedMs = { missed: 0, preempted: 0, duplicate: 0 };
  const served = new Set<string>();
  let proverMs = 0;
  for (const { content, startedAtMs, endedAtMs, end, served: count } of proofs) {
    const tookMs = endedAtMs - startedAtMs;
    proverMs += tookMs;
    if (end === "died") continue;
    if (end === "preempted") wastedMs.preempted += tookMs;
    else if (count === 0) wastedMs.missed += tookMs;
    else if (served.has(content)) wastedMs.duplicate += tookMs;
    if (count > 0) served.add(content);
  }
  const missed = proofs.filter(({ end, served }) => isMissed(end, served)).length;
  return { proverMs, wastedMs, proofs: proofs.length, missed };
}

const isMissed = (end: ProofRecord["end"], served: number) =>
  end === "fence" || (end === "proved" && served === 0);

function refusals({ judgedFromMs }: Scenario, run: Run): Measures["refusals"] {
  const of = (where: RefusalRecord["at"]) => {
    const own = run.refusals.filter(
      ({ at, askedAtMs }) => at === where && askedAtMs >= judgedFromMs,
    );
    return {
      all: own.length,
      wouldHaveMadeIt: own.filter(({ wouldHaveMadeIt }) => wouldHaveMadeIt).length,
    };
  };
  return { accept: of("accept"), dispatch: of("dispatch") };
}

/** One when all nodes get the same share of what they ask, 1/n when one gets all. */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}

function jainOfNodes({ flooder }: Scenario, judged: readonly Judged[]): number {
  const shares = [...byNode(judged)]
    .filter(([node, own]) => node !== flooder && own[0]?.ask.snapshot.priority !== BACKLOG)
    .map(
      ([, own]) => own.filter(({ result }) => result.provedAtMs !== undefined).length / own.length,
    );
  return jain(shares);
}

function backlogOf(judged: readonly Judged[]): Measures["backlog"] {
  const own = judged.filter(({ ask }) => ask.snapshot.priority === BACKLOG);
  return {
    groups: own.length,
    inTime: own.filter(({ result }) => result.provedAtMs !== undefined).length,
    waitMs: own.flatMap(({ ask, result: { startedAtMs } }) =>
      startedAtMs === undefined ? [] : [startedAtMs - ask.snapshot.atMs],
    ),
  };
}

function quietSnapshots({ flooder, typicalMs }: Scenario, judged: readonly Judged[]) {
  const firsts = new Map<SnapshotSpec, number>();
  for (const { ask, result } of judged) {
    const { snapshot } = ask;
    if (snapshot.node === flooder || snapshot.priority === BACKLOG) continue;
    // In the way of itself, not delayed by others.
    if (result.ending === "skipped in_flight") continue;
    const startedAtMs = result.startedAtMs ?? Infinity;
    firsts.set(snapshot, Math.min(firsts.get(snapshot) ?? Infinity, startedAtMs));
  }
  return [...firsts].map(([{ atMs, deadlineMs }, startedAtMs]) => {
    const hasStarted = startedAtMs < Infinity;
    // What was never started has waited for its whole deadline.
    return { hasStarted, delayProofs: (hasStarted ? startedAtMs - atMs : deadlineMs) / typicalMs };
  });
}

function byNode(judged: readonly Judged[]): Map<string, Judged[]> {
  const nodes = new Map<string, Judged[]>();
  for (const each of judged) {
    const { node } = each.ask.snapshot;
    const own = nodes.get(node);
    if (own === undefined) nodes.set(node, [each]);
    else own.push(each);
  }
  return nodes;
}

function counted(endings: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const ending of endings) counts[ending] = (counts[ending] ?? 0) + 1;
  return counts;
}
