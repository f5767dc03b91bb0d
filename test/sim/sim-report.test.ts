/**
 * The judge of the schedule, judged: the same seed gives the same report, nobody beats the optimum,
 * and measures come to what was worked out by hand for tiny cases.
 */
import { expect, test } from "vitest";
import { ArgumentError, readArguments } from "../../tools/sim-report/arguments.js";
import { firstCome } from "../../tools/sim-report/policies/baselines.js";
import type { Moment } from "../../tools/sim-report/policies/counterfactual.js";
import {
  groupWouldHaveMadeIt,
  snapshotWouldHaveMadeIt,
} from "../../tools/sim-report/policies/counterfactual.js";
import type { BurstComparison } from "../../tools/sim-report/measure/evaluate.js";
import type { Evaluation } from "../../tools/sim-report/measure/evaluate.js";
import { compareWithOptimum, evaluate, policies } from "../../tools/sim-report/measure/evaluate.js";
import { judge } from "../../tools/sim-report/measure/goals.js";
import { jain, measure } from "../../tools/sim-report/measure/measures.js";
import { plots } from "../../tools/sim-report/show/plots.js";
import type { AskResult, ProofRecord, RefusalRecord } from "../../tools/sim-report/measure/run.js";
import { notProved } from "../../tools/sim-report/measure/run.js";
import { asksOf, contentOfGroup } from "../../tools/sim-report/scenario/scenario.js";
import { tables } from "../../tools/sim-report/show/tables.js";
import { asMarkdown } from "../../tools/sim-report/show/text.js";
import { quantile } from "../../tools/sim-report/measure/statistics.js";
import { wastedShare } from "../../tools/sim-report/measure/total.js";
import { tableMs, Truth, VERIFY_MS } from "../../tools/sim-report/scenario/truth.js";
import { countVotes, votesOf, weightAt } from "../../tools/sim-report/scenario/votes.js";
import {
  drawScenario,
  smallWorkloads,
  workloads,
} from "../../tools/sim-report/scenario/workloads.js";
import { exact, group, ONE_MS, range, scenario, snapshot } from "./tiny-scenario.js";

test("a proof takes what was measured for its shape", () => {
  expect(tableMs({ raws: 1, children: 0 })).toEqual({ rawMs: 800, childMs: 0 });
  expect(tableMs({ raws: 48, children: 0 }).rawMs).toBe(1600);
  expect(tableMs({ raws: 0, children: 2 }).childMs).toBe(5500);
  const { rawMs, childMs } = tableMs({ raws: 48, children: 1 });
  expect(rawMs + childMs).toBeCloseTo(4766);
  expect(new Truth(exact).wholeMs(0, group("a", 1))).toBe(ONE_MS);
  expect(new Truth(exact).wholeMs(0, group("a", 0, 2))).toBe(5500 + 3 * VERIFY_MS);
});

test("votes are those beyond the best child, each once with its largest weight", () => {
  const children = [[1, 2, 3], [4]];
  expect(votesOf({ root: "a", slot: 1, raws: [3, 5], children })).toEqual([5, 4]);
  expect(votesOf({ root: "a", slot: 1, raws: [3, 5], children: [] })).toEqual([3, 5]);
  const steps = [
    { untilAtMs: 100, weight: 4 },
    { untilAtMs: 200, weight: 1 },
  ];
  expect([99, 100, 199, 200].map((atMs) => weightAt(steps, atMs))).toEqual([4, 1, 1, 0]);
  const counted = countVotes([
    { root: "a", validators: [1, 2], weight: 1 },
    { root: "a", validators: [2, 3], weight: 4 },
    { root: "b", validators: [2], weight: 2 },
  ]);
  expect(counted).toEqual({ votes: 4, worth: 1 + 4 + 4 + 2 });
});

test("a vote's best possible weight is that of the smallest part on an idle lane", () => {
  const steps = [
    { untilAtMs: ONE_MS + 1, weight: 4 },
    { untilAtMs: 2000, weight: 1 },
  ];
  const parts = snapshot(0, [group("a", 64)], { mayShed: true, steps, fenceMs: 3000 });
  const whole = snapshot(0, [group("b", 32)], { steps, node: "other" });
  const run = firstCome(scenario([parts, whole], 2));
  // Of a in parts: 64 votes at 4, proved whole after the last step; of b: 32 votes at 1.
  const measures = measure(scenario([parts, whole], 2), run);
  expect(measures).toMatchObject({ worthMax: 64 * 4 + 32, worth: 32, votes: 96 });
});

const proof = (content: string, rest: Partial<ProofRecord>): ProofRecord => ({
  lane: 0,
  content,
  startedAtMs: 0,
  endedAtMs: 1000,
  end: "proved",
  served: 1,
  ...rest,
});

test("prover time is wasted when missed, preempted or a duplicate, and a crash is neither", () => {
  const empty = { asks: [], refusals: [], preemptions: [] };
  const proofs = [
    proof("a", {}),
    proof("a", { endedAtMs: 100 }),
    proof("b", { end: "fence", served: 0, endedAtMs: 200 }),
    proof("c", { served: 0, endedAtMs: 300 }),
    proof("d", { end: "preempted", served: 0, endedAtMs: 400 }),
    proof("e", { end: "died", served: 0, endedAtMs: 500 }),
  ];
  const measures = measure(scenario([]), { ...empty, proofs });
  expect(measures.wastedMs).toEqual({ missed: 500, preempted: 400, duplicate: 100 });
  expect(measures.proverMs).toBe(2500);
  expect(wastedShare(measures)).toBe(0.4);
  expect([measures.missed, measures.proofs]).toEqual([2, 6]);
});

test("shares are of what could have been proved in time, in part at least", () => {
  const tooLong = group("long", 0, 2);
  const large = group("large", 96);
  const snapshots = [snapshot(0, [group("a", 4)]), snapshot(1, [tooLong])];
  snapshots.push(snapshot(2, [large], { mayShed: true }), snapshot(3, [large]));
  const proved: AskResult = {
    ending: "proved",
    startedAtMs: 500,
    provedAtMs: 1500,
    represented: range(3),
    isWhole: false,
  };
  const asks = [proved, notProved("x"), { ...proved, startedAtMs: 1002 }, notProved("x")];
  const run = { asks, proofs: [], refusals: [], preemptions: [] };
  const measures = measure(scenario(snapshots), run);
  // Of the four, two can be done in 2 s: the small, and the large one that may be cut.
  expect([measures.groups, measures.inTime, measures.whole]).toEqual([2, 2, 0]);
  expect([measures.votes, measures.represented]).toEqual([100, 6]);
  expect(measures.queueMs).toEqual([500, 1000]);
  expect(measures.endings).toEqual({ proved: 2, x: 2 });
});

test("votes of one message are counted once, in whichever proof they are", () => {
  const same = [snapshot(0, [group("a", 4)]), snapshot(1, [group("a", 6)])];
  const run = firstCome(scenario(same, 2));
  expect(measure(scenario(same, 2), run)).toMatchObject({ votes: 6, represented: 6 });
  const distinct = new Set(asksOf(scenario(same)).map((ask) => contentOfGroup(ask.group)));
  expect(distinct.size).toBe(2);
});

test("fairness is one when all get the same share, and one in n when one gets all", () => {
  expect(jain([0.5, 0.5, 0.5])).toBe(1);
  expect(jain([1, 0, 0, 0])).toBe(0.25);
  expect(jain([0, 0])).toBe(1);
});

test("beside a flooder, a quiet node's delay is counted in typical proofs up to its deadline", () => {
  const flood = snapshot(0, [group("f", 1)], { node: "flooder" });
  const quiet = [snapshot(1, [group("a", 1)]), snapshot(2, [group("b", 1)])];
  const beside = { ...scenario([flood, ...quiet]), flooder: "flooder" };
  const { quiet: seen } = measure(beside, firstCome(beside));
  expect(seen.map(({ hasStarted }) => hasStarted)).toEqual([true, false]);
  expect(seen.map(({ delayProofs }) => delayProofs * ONE_MS)).toEqual([ONE_MS - 1, 1000]);
});

test("backlog's waits are its own, and preemptions are reported with the needless ones", () => {
  const backlog = snapshot(1, [group("b", 1)], { priority: 3 });
  const judged = scenario([snapshot(0, [group("a", 1)]), backlog]);
  const preemptions = [true, false].map((isNeedless) => ({ startedAtMs: 1, isNeedless }));
  const run = { ...firstCome(judged), preemptions };
  const measures = measure(judged, run);
  expect(measures.backlog).toEqual({ groups: 1, inTime: 1, waitMs: [ONE_MS - 1] });
  expect(measures.queueMs).toEqual([0]);
  expect([measures.preemptions, measures.needless]).toEqual([2, 1]);
  const later = measure({ ...judged, judgedFromMs: 2 }, run);
  expect([later.preemptions, later.needless]).toEqual([0, 0]);
});

const moment = (rest: Partial<Moment>): Moment => ({
  nowMs: 0,
  truth: new Truth(exact),
  lanes: [{ freeAtMs: 900, content: undefined, isBacklog: false, isProving: false }],
  queued: [],
  usedMs: 0,
  typicalMs: 1,
  worthPerMs: () => 1,
  ...rest,
});

test("a refused snapshot would have made it when a lane came free before its deadline, in order", () => {
  const refused = snapshot(0, [group("a", 1)]);
  expect(snapshotWouldHaveMadeIt(refused, moment({}))).toBe(true);
  expect(snapshotWouldHaveMadeIt({ ...refused, deadlineMs: 900 }, moment({}))).toBe(false);
  expect(snapshotWouldHaveMadeIt({ ...refused, fenceMs: 900 + ONE_MS }, moment({}))).toBe(false);

  const [other] = asksOf(scenario([snapshot(0, [group("b", 1)], { node: "other" })]));
  if (other === undefined) throw new Error("one snapshot has one group");
  const ahead = { priority: 2, usedMs: 0, order: 1, node: "other", asks: [other] };
  expect(snapshotWouldHaveMadeIt(refused, moment({ queued: [ahead] }))).toBe(false);
  // One that has used more, or that shares its proof, delays nothing.
  const behind = { ...ahead, usedMs: 1 };
  expect(snapshotWouldHaveMadeIt(refused, moment({ queued: [behind] }))).toBe(true);
  const same = snapshot(0, [group("b", 1)]);
  expect(snapshotWouldHaveMadeIt(same, moment({ queued: [ahead] }))).toBe(true);
  // Backlog on the lane is preempted.
  const lanes = [{ freeAtMs: 5000, content: "x", isBacklog: true, isProving: true }];
  expect(snapshotWouldHaveMadeIt(refused, moment({ lanes }))).toBe(true);
  expect(snapshotWouldHaveMadeIt({ ...refused, priority: 3 }, moment({ lanes }))).toBe(false);
});

test("a group refused at its start would have made it when its least part ended before the fence", () => {
  const large = group("large", 96);
  const [whole] = asksOf(scenario([snapshot(0, [large])]));
  const [parts] = asksOf(scenario([snapshot(0, [large], { mayShed: true })]));
  if (whole === undefined || parts === undefined) throw new Error("one snapshot has one group");
  expect(groupWouldHaveMadeIt(whole, moment({}))).toBe(false);
  expect(groupWouldHaveMadeIt(parts, moment({}))).toBe(true);
  // Its inputs are verified by then.
  const inTime = 2000 - ONE_MS + VERIFY_MS;
  expect(groupWouldHaveMadeIt(parts, moment({ nowMs: inTime - 1 }))).toBe(true);
  expect(groupWouldHaveMadeIt(parts, moment({ nowMs: inTime }))).toBe(false);
});

test("a lane that proves would not have made what another has refused", () => {
  const [ask] = asksOf(scenario([snapshot(0, [group("a", 64)], { fenceMs: 2000 })]));
  if (ask === undefined) throw new Error("one snapshot has one group");
  const truth = new Truth({ ...exact, speeds: [1, 0.5] });
  const lane = { freeAtMs: 0, content: undefined, isBacklog: false, isProving: false };
  expect(groupWouldHaveMadeIt(ask, moment({ truth, lanes: [lane, lane] }))).toBe(true);
  const busy = { ...lane, isProving: true };
  expect(groupWouldHaveMadeIt(ask, moment({ truth, lanes: [lane, busy] }))).toBe(false);
});

test("what was refused while devices are learned is not judged", () => {
  const refusals = [0, 1, 2].map((askedAtMs): RefusalRecord => {
    return { at: "dispatch", askedAtMs, wouldHaveMadeIt: askedAtMs > 1 };
  });
  const run = { asks: [], proofs: [], refusals, preemptions: [] };
  const measures = measure({ ...scenario([]), judgedFromMs: 1 }, run);
  expect(measures.refusals.dispatch).toEqual({ all: 2, wouldHaveMadeIt: 1 });
});

/** One run in which ours has this share of the weighted votes, and every baseline 0.5. */
function evaluation(worth: number, rest: Partial<Evaluation["measures"]["ours"]> = {}): Evaluation {
  const empty = { asks: [], proofs: [], refusals: [], preemptions: [] };
  const base = { ...measure(scenario([]), empty), worthMax: 1, worth: 0.5 };
  const ours = { ...base, worth, ...rest };
  const [runs, others] = [
    { gateway: empty, "first come": empty, "skip when busy": empty },
    { gateway: base, "first come": base, "skip when busy": base },
  ];
  return {
    workload: "tiny",
    budgetOverCost: 1,
    seed: 1,
    runs: { ours: empty, ...runs },
    measures: { ours, ...others },
  };
}

test("goals are met up to their bound", () => {
  const refusals = {
    accept: { all: 60, wouldHaveMadeIt: 4 },
    dispatch: { all: 40, wouldHaveMadeIt: 0 },
  };
  const reached = { groups: 90, votes: 90, worth: 92 };
  const asked = { groups: 100, votes: 100, worth: 100 };
  const burst: BurstComparison = {
    budgetOverCost: 1,
    asked,
    optimum: { groups: 95, votes: 96, worth: 100 },
    allKnowing: asked,
    reached: { ours: reached, gateway: reached, "first come": reached, "skip when busy": reached },
  };
  const wastedMs = { missed: 6, preempted: 0, duplicate: 0 };
  const met = evaluation(0.51, { refusals, wastedMs, proverMs: 100 });
  const metBy = (own: Evaluation, bursts: readonly BurstComparison[]) =>
    judge([own], bursts).map(({ isMet }) => isMet);
  expect(metBy(met, [burst])).toEqual([true, true, true, true, true]);
  const further = { ...burst, reached: { ...burst.reached, ours: { ...reached, worth: 91 } } };
  expect(metBy(met, [further])).toEqual([true, true, false, true, true]);
  const worse = evaluation(0.49, {
    refusals: { ...refusals, accept: { all: 60, wouldHaveMadeIt: 5 } },
    wastedMs: { ...wastedMs, preempted: 1 },
    proverMs: 100,
  });
  expect(metBy(worse, [])).toEqual([false, false, true, false, false]);
  const [atEveryBudget] = judge([worse], []);
  expect(atEveryBudget?.found).toBe("behind in 1 of 1: 1: -1.0 points (gateway)");
  expect(quantile([3, 1, 2], 0.5)).toBe(2);
});

test("the command line chooses work by name and budget, and says what is wrong", () => {
  const args = readArguments(["--workloads", "small,backlog", "--budgets", "0.7,2"]);
  if ("print" in args) throw new Error("nothing was asked for but a run");
  expect(args.chosen.map(({ name }) => name)).toEqual([
    "backlog",
    "small, 1 lane",
    "small, 2 lanes",
  ]);
  expect(args).toMatchObject({ budgets: [0.7, 2], out: "out/schedule", isStrict: false });
  expect(readArguments(["--help"])).toMatchObject({ print: expect.stringContaining("--strict") });
  const whole = readArguments([]);
  expect(whole).toMatchObject({ out: "docs/schedule", scenarios: 2 });
  expect("recorded" in whole && whole.recorded).toEqual([
    "tools/sim-report/recorded/devnet",
    "tools/sim-report/recorded/devnet-faults",
  ]);
  expect(args.recorded).toEqual([]);
  const wrong = [
    ["--seed", "x"],
    ["--scenarios", "0"],
    ["--budgets", "1,-2"],
    ["--workloads", "nothing"],
    ["--unknown"],
  ];
  for (const argv of wrong) expect(() => readArguments(argv)).toThrow(ArgumentError);
});

const [small] = smallWorkloads.slice(-1);
const [crashing] = workloads.filter(({ name }) => name === "slow and crashing");

test("the same seed gives the same report, byte for byte", async () => {
  if (small === undefined || crashing === undefined) throw new Error("the workloads are gone");
  const make = async () => {
    const own = drawScenario({ ...small, slots: 6 }, 1, 7);
    const other = await evaluate(drawScenario({ ...crashing, slots: 8 }, 3, 7));
    const evaluation = await evaluate(own);
    const evaluations = [evaluation, other];
    const bursts = compareWithOptimum(own, evaluation);
    const findings = { evaluations, bursts, goals: judge(evaluations, bursts) };
    const drawn = plots(findings);
    const text = asMarkdown(tables(findings), { command: "make", plots: drawn });
    return [text, ...drawn.map(({ svg }) => svg)].join("\n");
  };
  const first = await make();
  expect(await make()).toBe(first);
  expect(first).toContain("| goal | met | found |");
  expect(first).not.toMatch(/NaN|undefined|Infinity|20\d\d-/);
});

test.each([0.7, 1.5, 4])("nobody beats the optimum with a budget of %d proofs", async (budget) => {
  for (const workload of smallWorkloads) {
    const own = drawScenario({ ...workload, slots: 9 }, budget, 11);
    const bursts = compareWithOptimum(own, await evaluate(own));
    expect(bursts.length).toBeGreaterThan(2);
    for (const { reached, optimum: best, allKnowing } of bursts) {
      expect(best.groups).toBeLessThanOrEqual(allKnowing.groups);
      for (const policy of policies) {
        expect(reached[policy].groups).toBeLessThanOrEqual(allKnowing.groups);
        expect(reached[policy].votes).toBeLessThanOrEqual(allKnowing.votes);
        expect(reached[policy].worth).toBeLessThanOrEqual(allKnowing.worth);
      }
    }
  }
});
