/** The page's model: each proof belongs to its groups, also the jobs of a tree, merges, and retries. */
import { beforeEach, expect, test } from "vitest";
import { ActivityModel } from "../../../page/model/activity-model.js";
import { answerOf } from "../../../page/model/answer.js";
import { costCurves } from "../../../page/model/cost-curves.js";
import { describeGroup, describeLane } from "../../../page/model/describe.js";
import {
  busyMean,
  figuresTime,
  jobKind,
  proofMsOf,
  systemsOf,
} from "../../../page/model/figures.js";
import { relatedTo } from "../../../page/model/related.js";

let model: ActivityModel;
beforeEach(() => (model = new ActivityModel()));

const take = (nowMs: number, activities: object[], rest: object = {}) =>
  model.take(answerOf({ nowMs, run: "one", activities, ...rest }));
const accepted = (
  sessionId: string,
  atMs: number,
  size: object = { votes: 8, rawSignatures: 8 },
) => ({
  atMs,
  accepted: {
    ...{ sessionId, requestId: `r-${sessionId}`, nodeId: "beam", slot: "7" },
    ...{ receivedAtMs: atMs, deadlineAtMs: atMs + 750, fenceAtMs: atMs + 4000 },
    groups: [size],
  },
});
const started = (sessionId: string, attempt: number, deviceId: string, atMs: number) => ({
  atMs,
  started: { sessionId, attempt, deviceId },
});
const job = (attempt: number, number: number, deviceId: string, atMs: number) => ({
  atMs,
  job: { attempt, job: number, deviceId },
});
const proving = (deviceId: string, attempt: number, proof: object | undefined, atMs: number) => ({
  atMs,
  lane: { deviceId, state: "DEVICE_STATE_PROVING", attempt, ...(proof && { proof }) },
});
const idle = (deviceId: string, atMs: number) => ({
  atMs,
  lane: { deviceId, state: "DEVICE_STATE_IDLE" },
});
const ended = (sessionId: string, atMs: number) => ({
  atMs,
  ended: { sessionId, status: "OUTCOME_STATUS_PROVED", votes: { proved: [8] }, proveMs: 100 },
});

/** Two leaves on two devices, and their fold, which still runs. */
const tree = [
  accepted("s", 1000),
  started("s", 1, "a", 1010),
  job(1, 1, "a", 1010),
  proving("a", 1, undefined, 1010),
  job(1, 2, "b", 1020),
  proving("b", 2, undefined, 1020),
  proving("a", 1, { rawSignatures: 4 }, 1050),
  proving("b", 2, { rawSignatures: 4 }, 1060),
  idle("a", 1200),
  idle("b", 1300),
  job(1, 3, "b", 1310),
  proving("b", 3, { children: 2 }, 1330),
];

const barsOf = (device: string) => model.lanes.get(device) ?? [];
const groupKeys = (device: string) =>
  barsOf(device).map((bar) => model.groupsOf(bar).map(({ key }) => key));

test("each job of a tree belongs to the tree's group, on every device", () => {
  take(1400, tree);
  expect(groupKeys("a")).toEqual([["s/0"]]);
  expect(groupKeys("b")).toEqual([["s/0"], ["s/0"]]);
  expect(model.groups.get("s/0")?.provingAtMs).toBe(1050);
  expect(barsOf("b").map((bar) => jobKind(bar, model))).toEqual(["leaf", "fold"]);
});

test("a tree is described by its jobs and devices, and a job by its tree's group", () => {
  take(1400, tree, { devices: [{ status: { deviceId: "a" } }, { status: { deviceId: "b" } }] });
  const [group] = model.groups.values();
  const [, fold] = barsOf("b");
  if (group === undefined || fold === undefined) throw new Error("not in the model");
  expect(describeGroup(group, model, 1400)).toContain("a tree, 3 jobs so far, on a, b");
  const lines = describeLane(fold, model, 1400);
  expect(lines).toContain("fold of a tree: job 3 of 3 so far");
  expect(lines).toContain("slot 7, beam, group 0");
});

test("a group, its jobs and their bars are related, and no other", () => {
  take(1400, [
    ...tree,
    accepted("other", 1350),
    started("other", 4, "a", 1360),
    proving("a", 4, { rawSignatures: 1 }, 1370),
  ]);
  const [leaf] = barsOf("a");
  const [second, fold] = barsOf("b");
  const [leafKey = "", secondKey = "", foldKey = ""] = [leaf?.key, second?.key, fold?.key];
  expect(relatedTo("s/0", model)).toEqual(new Set([leafKey, secondKey, foldKey]));
  expect(relatedTo(leafKey, model)).toEqual(new Set(["s/0", secondKey, foldKey]));
  expect(relatedTo("gone", model)).toEqual(new Set());
});

test("a group that joins a running attempt is being proved, and shares its bar", () => {
  take(1100, [
    accepted("s", 1000),
    started("s", 1, "a", 1010),
    proving("a", 1, { rawSignatures: 8 }, 1020),
    accepted("late", 1050),
    started("late", 1, "a", 1060),
  ]);
  expect(groupKeys("a")).toEqual([["s/0", "late/0"]]);
  expect(model.groups.get("late/0")?.provingAtMs).toBe(1060);
});

test("after a retry the first proof still belongs to its group", () => {
  take(2000, [
    accepted("s", 1000),
    started("s", 1, "a", 1010),
    proving("a", 1, { rawSignatures: 8 }, 1020),
    { atMs: 1100, lane: { deviceId: "a", state: "DEVICE_STATE_STOPPING" } },
    started("s", 2, "b", 1200),
    proving("b", 2, { rawSignatures: 8 }, 1210),
  ]);
  expect(groupKeys("a")).toEqual([["s/0"], []]);
  expect(groupKeys("b")).toEqual([["s/0"]]);
  expect(model.groups.get("s/0")?.provingAtMs).toBe(1210);
});

test("a merge is another kind of job than a fold", () => {
  take(1100, [
    accepted("m", 1000, { votes: 12, children: 3, messages: 3 }),
    started("m", 1, "a", 1010),
    proving("a", 1, { children: 3, messages: 3 }, 1020),
  ]);
  expect(barsOf("a").map((bar) => jobKind(bar, model))).toEqual(["merge"]);
  const [group] = model.groups.values();
  if (group === undefined) throw new Error("not in the model");
  expect(describeGroup(group, model, 1100)).toContain("12 votes: merge of 3 messages");
});

test("proof systems are named where there are several, and not where there is one", () => {
  const device = (deviceId: string, scheme: string) => ({
    status: { deviceId },
    ...{ scheme, revision: "1.0" },
  });
  const activities = [accepted("s", 1000), started("s", 1, "b", 1010)];
  take(1100, activities, { devices: [device("a", "old"), device("b", "new")] });
  const [group] = model.groups.values();
  if (group === undefined) throw new Error("not in the model");
  expect(systemsOf(model.devices)).toEqual(["new 1.0", "old 1.0"]);
  expect(describeGroup(group, model, 1100)).toContain("proof system new 1.0");
  take(1200, [], { devices: [device("a", "old"), device("b", "old")] });
  expect(describeGroup(group, model, 1200).join()).not.toContain("proof system");
});

test("what a new stream of the same run sends again is taken once, and gaps are counted", () => {
  const skipped = { atMs: 1600, skipped: { slot: "8", reason: "SKIP_REASON_IN_FLIGHT" } };
  take(1500, [...tree, idle("b", 1450), skipped], { missed: "40" });
  const before = [barsOf("b").length, model.skips.length];
  model.streamBegins();
  take(1700, [idle("b", 1450), skipped], { missed: String(40 + tree.length) });
  expect([barsOf("b").length, model.skips.length]).toEqual(before);
  take(1800, [skipped]);
  expect(model.skips).toHaveLength(2);
  expect(model.missed).toBe(0);
  model.streamBegins();
  take(1900, [skipped], { missed: String(40 + tree.length + 3 + 5) });
  expect([model.skips.length, model.missed]).toEqual([3, 5]);
});

test("what is not drawn has its number too: nothing is taken twice, and no gap is counted", () => {
  const skipped = { atMs: 1600, skipped: { slot: "8", reason: "SKIP_REASON_IN_FLIGHT" } };
  const delivered = { atMs: 1500, delivered: { sessionId: "s" } };
  const ofLaterVersion = { atMs: 1550, invented: {} };
  const sent = [...tree, delivered, ofLaterVersion, skipped];
  take(1700, sent);
  model.streamBegins();
  take(1800, sent);
  expect([barsOf("b").length, model.skips.length]).toEqual([2, 1]);
  model.streamBegins();
  take(1900, [skipped], { missed: String(sent.length - 1) });
  expect([model.skips.length, model.missed]).toEqual([1, 0]);
  model.streamBegins();
  take(2000, [skipped], { missed: String(sent.length) });
  expect([model.skips.length, model.missed]).toEqual([2, 0]);
});

test("another run begins anew", () => {
  take(1400, tree, { missed: "7" });
  model.streamBegins();
  take(100, [accepted("s", 50)], { run: "two" });
  expect([...model.groups.keys()]).toEqual(["s/0"]);
  expect([model.lanes.size, model.missed]).toEqual([0, 0]);
});

test("an attempt is forgotten with its last group", () => {
  take(1400, [...tree, ended("s", 1400), idle("b", 1400)]);
  const [bar] = barsOf("a");
  if (bar === undefined) throw new Error("no bar");
  expect(model.attemptOf(bar)?.jobs).toEqual([1, 2, 3]);
  take(1400 + 11 * 60_000, []);
  expect(model.groups.size).toBe(0);
  expect(model.attemptOf(bar)).toBeUndefined();
});

const listed = (...ids: string[]) => ({
  complete: true,
  devices: ids.map((deviceId) => ({
    status: { deviceId, state: "DEVICE_STATE_PROVING" },
    learnedCosts: [{ rawSignatures: 1, proveMs: 5 }],
  })),
});

test("without a device the list is empty, and only a complete answer says so", () => {
  take(1100, [proving("a", 1, { rawSignatures: 8 }, 1000)], listed("a"));
  take(1200, []);
  expect(model.devices.map(({ id, state }) => [id, state])).toEqual([["a", "proving"]]);
  take(1300, [], listed());
  expect(model.devices).toEqual([]);
  expect(model.costs.size).toBe(0);
  expect(barsOf("a").map(({ endAtMs }) => endAtMs)).toEqual([1300]);
});

test("of devices that have gone, lanes are forgotten with their work and costs at once", () => {
  for (let host = 0; host < 100; host++) {
    const atMs = 1000 + 10 * host;
    const name = `host-${host}`;
    take(atMs + 5, [proving(name, host, undefined, atMs)], listed("a", name));
  }
  take(2100, [idle("a", 2050)], listed("a"));
  expect([...model.costs.keys()]).toEqual(["a"]);
  expect(model.lanes.size).toBe(101);
  take(2100 + 11 * 60_000, [], listed("a"));
  expect([...model.lanes.keys()]).toEqual(["a"]);
});

test("busy is the mean of the devices, and of those gone that worked in this time", () => {
  expect(busyMean(model, 1000, 2000)).toBeUndefined();
  take(
    2000,
    [
      ...[proving("a", 1, undefined, 1000), idle("a", 1500)],
      ...[proving("gone", 2, undefined, 1000), idle("gone", 2000)],
    ],
    listed("a", "b"),
  );
  expect(busyMean(model, 1000, 2000)).toBeCloseTo(0.5);
  expect(busyMean(model, 2000, 3000)).toBe(0);
  take(2100, [proving("a", 3, undefined, 2000)], listed("a"));
  expect(busyMean(model, 2000, 3000)).toBe(1);
});

test("figures are of the past, also while the timeline shows what is to come", () => {
  const nowMs = 100_000;
  const ahead = { fromMs: nowMs - 26_400, toMs: nowMs + 3600, nowMs };
  expect(figuresTime(ahead)).toEqual({ fromMs: nowMs - 60_000, toMs: nowMs });
  take(nowMs, [proving("a", 1, undefined, 1000)], listed("a"));
  const { fromMs, toMs } = figuresTime({ ...ahead, fromMs: nowMs - 264_000, toMs: nowMs + 36_000 });
  expect([fromMs, toMs]).toEqual([nowMs - 264_000, nowMs]);
  const past = { fromMs: 5000, toMs: 80_000, nowMs };
  expect(figuresTime(past)).toEqual({ fromMs: 5000, toMs: 80_000 });
});

test("a job of an attempt that is not known is left out", () => {
  take(1100, [job(9, 10, "a", 1000), proving("a", 10, { rawSignatures: 1 }, 1010)]);
  expect(groupKeys("a")).toEqual([[]]);
  expect(describeLane(barsOf("a")[0] ?? never(), model, 1100)).toContain("attempt 10");
});

test("a proof that was made has its own time, and one that died or was killed has none", () => {
  const proofs = () => barsOf("a").map((bar) => proofMsOf(bar, model));
  const raws = { rawSignatures: 8 };
  const stopped = { sessionId: "late", status: "OUTCOME_STATUS_STOPPED" };
  take(2000, [
    accepted("s", 1000),
    started("s", 1, "a", 1010),
    proving("a", 1, raws, 1020),
    // The prover died, and its standby took over: the group is tried again.
    idle("a", 1400),
    started("s", 2, "a", 1410),
    proving("a", 2, raws, 1420),
  ]);
  expect(proofs()).toEqual([undefined, undefined]);
  // The lane verified the proof for 30 ms.
  take(2100, [idle("a", 1550), ended("s", 1551)]);
  expect(proofs()).toEqual([undefined, 100]);
  take(2200, [
    accepted("late", 1600),
    started("late", 3, "a", 1610),
    proving("a", 3, raws, 1620),
    { atMs: 1900, lane: { deviceId: "a", state: "DEVICE_STATE_STOPPING" } },
    { atMs: 1900, ended: stopped },
    idle("a", 1950),
  ]);
  expect(proofs()).toEqual([undefined, 100, undefined, undefined]);
});

test("a job of a tree is drawn with no time: the outcome has that of the tree", () => {
  take(1500, [...tree, idle("b", 1450), ended("s", 1451)]);
  expect([...barsOf("a"), ...barsOf("b")].map((bar) => proofMsOf(bar, model))).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test("each rate of a device has a curve of its own, in order of size, and one alone has no name", () => {
  const cost = (rawSignatures: number, proveMs: number, more: object = {}) => ({
    ...{ kind: "PROOF_KIND_AGGREGATE", rawSignatures, messages: 1, proveMs },
    ...more,
  });
  const two = [cost(1, 50, { logInvRate: 2 }), cost(4, 80, { logInvRate: 2 })];
  const merge = { kind: "PROOF_KIND_MERGE", children: 2, messages: 2, proveMs: 900 };
  const device = (deviceId: string, learnedCosts: object[]) => ({
    status: { deviceId },
    learnedCosts,
  });
  const ofFirst = [cost(4, 20), cost(1, 10), ...two, merge];
  take(1000, [], { devices: [device("a", ofFirst), device("b", [cost(1, 7)])] });
  const curves = costCurves(model, "raws", ["a", "b", "gone"]);
  expect(curves.map(({ series, nth, logInvRate }) => [series, nth, logInvRate])).toEqual([
    [0, 0, 0],
    [0, 1, 2],
    [1, 0, undefined],
    [2, 0, undefined],
  ]);
  const sizes = curves.map(({ costs }) => costs.map(({ raws, ms }) => `${raws}: ${ms}`).join());
  expect(sizes).toEqual(["1: 10,4: 20", "1: 50,4: 80", "1: 7", ""]);
  expect(costCurves(model, "messages", ["a"]).map(({ costs }) => costs.length)).toEqual([1]);
});

function never(): never {
  throw new Error("no bar");
}
