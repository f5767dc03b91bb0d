/** How the schedule treats merges: whole, by costs of their own, and broken ones not at all. */
import { expect, test } from "vitest";
import {
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ProofResult } from "../../../server/work/group.js";
import { AGGREGATION, BACKLOG } from "../../../server/work/priority.js";
import { busyLane, costs, idleLane } from "../../helpers/busy-lane.js";
import {
  description,
  groupOfMerge,
  groupOfRaws,
  TestScheduler,
  provedResult,
} from "../../helpers/scheduler.js";
import { groupOf, proved as treeProved, TreeLanes } from "../../helpers/tree-lanes.js";

const body = groupOfMerge("body", { raws: 0, proofs: 3 });
const block = groupOfMerge("block", { raws: 1, proofs: 3 });
const proved: ProofResult = { ...provedResult, proveMs: 2000 };

test("nodes share one proof of equal merges, whatever they say of shedding and least inputs", () => {
  const scheduler = busyLane(groupOfRaws("other", 1));
  scheduler.submit("may", body, { mayShed: true, minInputs: 5 });
  scheduler.submit("may-not", body, { mayShed: false });
  const ended = { kind: "failed", reason: "prover_error", detail: "", deaths: 0 } as const;
  scheduler.hear("a", { kind: "ended", attempt: 1, result: ended });
  scheduler.announceIdle("a", 2, costs(500, 500));
  expect(scheduler.assignments).toHaveLength(2);
  expect(scheduler.assignments[1]?.assignment).toMatchObject({ digest: "body", mayShed: false });
  // One that may be shed joins too, and takes the same answer.
  scheduler.submit("late", body, { mayShed: true });
  const missed = { kind: "not_started", reason: "predicted_miss", leftOut: [] } as const;
  scheduler.hear("a", { kind: "ended", attempt: 2, result: missed });
  for (const node of ["may", "may-not", "late"]) {
    expect(scheduler.outcomes(node)).toMatchObject([{ status: OutcomeStatus.NOT_STARTED }]);
  }
  expect(scheduler.assignments).toHaveLength(2);
});

test("a merge is predicted by what merges cost, whole", () => {
  const scheduler = busyLane(groupOfRaws("other", 1), AGGREGATION, 3000);
  const nine = { kind: "skipped", reason: "predicted_miss" };
  // Three proofs take 9 s, and the fence is in 6.4 s.
  expect(scheduler.submit("a", body, { mayShed: true })).toMatchObject(nine);
  const two = groupOfMerge("two", { raws: 0, proofs: 2 });
  expect(scheduler.submit("b", two).kind).toBe("accepted");
});

test("a merge delays what waits behind it by its own prediction", () => {
  const limits = { deadlineAtMs: 4000, fenceAtMs: 4500 };
  const vote = () => groupOfRaws("vote", 1);
  expect(busyLane(body, AGGREGATION, 500).submit("vote", vote(), limits).kind).toBe("accepted");
  expect(busyLane(body, AGGREGATION, 3000).submit("vote", vote(), limits).kind).toBe("skipped");
});

test("raw signatures go before proofs of as many votes, within the class", () => {
  const scheduler = busyLane(groupOfRaws("other", 1));
  scheduler.submit("merge", groupOfMerge("merge", { raws: 0, proofs: 1, votes: 8 }));
  scheduler.submit("fold", groupOfRaws("fold", 8));
  const ended = { kind: "failed", reason: "prover_error", detail: "", deaths: 0 } as const;
  scheduler.hear("a", { kind: "ended", attempt: 1, result: ended });
  scheduler.announceIdle("a", 2, costs(500, 500));
  expect(scheduler.assignments[1]?.assignment.digest).toBe("fold");
});

test("a merge that is predicted to miss is tried once on an idle device, whole", () => {
  const scheduler = idleLane(3000);
  scheduler.submit("a", body);
  expect(scheduler.assignments[0]?.assignment).toMatchObject({ isExploration: true });
  const missed = { kind: "not_started", reason: "predicted_miss", leftOut: [] } as const;
  scheduler.hear("a", { kind: "ended", attempt: 1, result: missed });
  scheduler.announceIdle("a", 2, costs(500, 3000));
  scheduler.submit("b", groupOfMerge("another", { raws: 0, proofs: 3 }));
  expect(scheduler.assignments[1]?.assignment).toMatchObject({ isExploration: false });
});

test("a caller that forbids shedding adopts a running merge too, before its proof has begun", () => {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announce("a", 1, {
    phase: { kind: "proving", attempt: null, proof: null },
    adoptable: [{ digest: "body", fenceAtMs: 6000, isRunning: true }],
  });
  scheduler.submit("first", body, { mayShed: false });
  expect(scheduler.sent).toMatchObject([{ message: { kind: "adopt", digest: "body" } }]);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  expect(scheduler.outcomes("first")).toMatchObject([{ status: OutcomeStatus.PROVED }]);
});

test("a merge of which decoding left a component out ends at once, though no device is idle", () => {
  const input = { kind: "component", componentIndex: 1 } as const;
  const unknown = { reason: "unknown_key", input, digest: new Uint8Array(32) } as const;
  const broken = { ...block, work: { ...block.work, components: [], leftOut: [unknown] } };
  const scheduler = busyLane(body, AGGREGATION, 3000);
  expect(scheduler.submit("node", broken, { deadlineAtMs: 1 }).kind).toBe("accepted");
  expect(scheduler.outcomes("node")).toMatchObject([
    {
      status: OutcomeStatus.REJECTED,
      leftOut: [{ reason: LeftOutReason.UNKNOWN_KEY, input: { value: 1 } }],
    },
  ]);
  expect(scheduler.assignments).toHaveLength(1);
});

/** Votes in each of five slots while every lane is taken; the next come at 20 s, and a body at 19 s. */
async function afterFiveSlots(lanes: readonly string[]): Promise<TestScheduler> {
  const scheduler = new TestScheduler(lanes);
  const taken = { phase: { kind: "proving", attempt: null, proof: null } } as const;
  for (const lane of lanes) scheduler.announce(lane, 1, taken);
  for (let slot = 0; slot < 5; slot++) {
    await scheduler.clock.runUntil(slot * 4000, () => undefined);
    const limits = { deadlineAtMs: slot * 4000 + 1, fenceAtMs: slot * 4000 + 100 };
    scheduler.submit("votes", groupOfRaws(`votes ${slot}`, 1), limits);
  }
  await scheduler.clock.runUntil(19_000, () => undefined);
  lanes.forEach((lane) => scheduler.announceIdle(lane, 1, costs(500, 1000)));
  const limits = { deadlineAtMs: 25_000, fenceAtMs: 30_000 };
  expect(scheduler.submit("proposer", body, limits).kind).toBe("accepted");
  return scheduler;
}

test("a body does not take the last idle lane when votes are about to come", async () => {
  const scheduler = await afterFiveSlots(["a"]);
  expect(scheduler.assignments).toEqual([]);
  await scheduler.clock.runUntil(20_000, () => undefined);
  scheduler.submit("votes", groupOfRaws("next", 1));
  expect(scheduler.assignments.map(({ assignment }) => assignment.digest)).toEqual(["next"]);
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  scheduler.announceIdle("a", 2, costs(100, 1000));
  await scheduler.clock.runUntil(20_300, () => undefined);
  expect(scheduler.assignments.map(({ assignment }) => assignment.digest)).toEqual([
    "next",
    "body",
  ]);
});

/** A lane that is idle after votes, which end in 10 ms, and a body and backlog that waited for it. */
async function bodyAfterVotes(
  fenceAtMs: number,
  result: ProofResult = proved,
  shouldReplace = true,
) {
  const scheduler = busyLane(groupOfRaws("votes", 1), AGGREGATION, 1000);
  const limits = { deadlineAtMs: fenceAtMs, fenceAtMs, shouldReplace };
  const submit = (digest: string, proofs: number) =>
    scheduler.submit("proposer", groupOfMerge(digest, { raws: 0, proofs }), limits);
  expect(submit("one", 1).kind).toBe("accepted");
  const late = { priority: BACKLOG, deadlineAtMs: 20_000, fenceAtMs: 30_000 };
  expect(scheduler.submit("voter", groupOfRaws("backlog", 1), late).kind).toBe("accepted");
  await scheduler.clock.runUntil(10, () => undefined);
  scheduler.hear("a", { kind: "ended", attempt: 1, result });
  scheduler.announceIdle("a", 2, costs(500, 1000));
  return { scheduler, submit };
}
const digests = ({ assignments }: TestScheduler) =>
  assignments.map(({ assignment }) => assignment.digest);

test("a body that waited while votes were proved may be replaced before it or backlog begins", async () => {
  const { scheduler, submit } = await bodyAfterVotes(8000);
  expect(digests(scheduler)).toEqual(["votes"]);
  await scheduler.clock.runUntil(100, () => undefined);
  expect(submit("two", 2).kind).toBe("accepted");
  expect(digests(scheduler), "the fuller one waits for none").toEqual(["votes", "two"]);
  expect(scheduler.outcomes("proposer")).toMatchObject([
    { status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.SUPERSEDED },
  ]);
});

test("a body that nothing replaces begins 250 ms after the votes' proof", async () => {
  const { scheduler } = await bodyAfterVotes(8000);
  await scheduler.clock.runUntil(259, () => undefined);
  expect(digests(scheduler)).toEqual(["votes"]);
  await scheduler.clock.runUntil(261, () => undefined);
  expect(digests(scheduler)).toEqual(["votes", "one"]);
});

test("a fuller body that would miss does not end the one that waits", async () => {
  const { scheduler, submit } = await bodyAfterVotes(4000);
  await scheduler.clock.runUntil(100, () => undefined);
  expect(submit("eight", 8)).toMatchObject({ kind: "skipped", reason: "predicted_miss" });
  await scheduler.clock.runUntil(261, () => undefined);
  expect(digests(scheduler)).toEqual(["votes", "one"]);
});

test("votes that never pause let a body and backlog have their turns", async () => {
  const { scheduler } = await bodyAfterVotes(60_000);
  const limits = { deadlineAtMs: 60_000, fenceAtMs: 64_000 };
  for (let voter = 1; voter <= 20; voter++)
    scheduler.submit(`voter ${voter}`, groupOfRaws(`votes ${voter}`, 1), limits);
  for (let attempt = 2; attempt <= 20; attempt++) {
    await scheduler.clock.runUntil(100 * attempt, () => undefined);
    scheduler.hear("a", { kind: "ended", attempt, result: proved });
    scheduler.announceIdle("a", attempt + 1, costs(500, 1000));
  }
  expect(digests(scheduler).indexOf("backlog")).toBeLessThanOrEqual(10);
  expect(digests(scheduler).indexOf("backlog")).toBeGreaterThan(0);
  expect(digests(scheduler).indexOf("one")).toBeLessThanOrEqual(10);
  expect(digests(scheduler).indexOf("one")).toBeGreaterThan(0);
});

test("a body waits for no replacement that its node may not send", async () => {
  const { scheduler } = await bodyAfterVotes(8000, proved, false);
  expect(digests(scheduler)).toEqual(["votes", "one"]);
});

test("a body waits for its replacement after votes that a tree of jobs has proved, too", async () => {
  const lanes = new TreeLanes(["a"]);
  lanes.submit("voters", groupOf(5));
  const limits = { deadlineAtMs: 8000, fenceAtMs: 8000, shouldReplace: true };
  lanes.submit("proposer", groupOfMerge("body", { raws: 0, proofs: 1 }), limits);
  const running = () => lanes.open[0]?.assignment.digest;
  while (running() !== undefined) {
    expect(running()).not.toBe("body");
    await lanes.until(lanes.clock.nowMs() + 100);
    lanes.end(treeProved);
  }
  await lanes.until(lanes.clock.nowMs() + 251);
  expect(running()).toBe("body");
});

test("a body begins at once where no votes were proved, or it would be late", async () => {
  const failed = { kind: "failed", reason: "prover_error", detail: "", deaths: 0 } as const;
  const { scheduler } = await bodyAfterVotes(8000, failed);
  expect(digests(scheduler)).toEqual(["votes", "one"]);
  const late = await bodyAfterVotes(1200);
  expect(digests(late.scheduler)).toEqual(["votes", "one"]);
});

test("a body waits for no votes that did not come, nor beside another idle lane", async () => {
  const alone = await afterFiveSlots(["a"]);
  await alone.clock.runUntil(20_249, () => undefined);
  expect(alone.assignments).toEqual([]);
  await alone.clock.runUntil(20_251, () => undefined);
  expect(alone.assignments).toHaveLength(1);
  expect((await afterFiveSlots(["a", "b"])).assignments).toHaveLength(1);
});

test("bodies that would be late after the votes are refused at once, all of a session", async () => {
  const scheduler = await afterFiveSlots(["a"]);
  const bodies = ["one", "two"].map((digest) => groupOfMerge(digest, { raws: 0, proofs: 3 }));
  // The votes are awaited until 20.25 s, and a body takes 3 s.
  scheduler.submit("other", bodies, { deadlineAtMs: 22_500, fenceAtMs: 22_500 });
  const refused = { status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.PREDICTED_MISS };
  expect(scheduler.outcomes("other")).toMatchObject([refused, refused]);
});

test("the block of the present slot waits for no votes", async () => {
  const scheduler = await afterFiveSlots(["a"]);
  scheduler.submit("now", block, { priority: 1, deadlineAtMs: 24_000, fenceAtMs: 24_000 });
  expect(scheduler.assignments.map(({ assignment }) => assignment.digest)).toEqual(["block"]);
});

/** Two lanes of which only "a" can merge, with these priorities of what they prove; null: idle. */
async function preemptedFor(priorities: Record<"a" | "b", number | null>): Promise<string[]> {
  const scheduler = new TestScheduler(["a", "b"]);
  const of = (lane: string) => ({
    ...costs(2000, 500),
    description: { ...description, messagesMax: lane === "a" ? 8 : 0 },
  });
  for (const lane of ["a", "b"] as const) {
    const priority = priorities[lane];
    scheduler.announceIdle(lane, 1, of(lane));
    if (priority === null) continue;
    const limits = { priority, deadlineAtMs: 20_000, fenceAtMs: 30_000 };
    scheduler.submit(lane, groupOfRaws(lane, 60), limits);
    const attempt = scheduler.assignments.at(-1)?.attempt ?? 0;
    const phase = { kind: "proving", attempt, proof: null } as const;
    scheduler.announce(lane, 1, { ...of(lane), phase, isStandbyReady: true });
  }
  scheduler.submit("now", block, { priority: 1, deadlineAtMs: 2000, fenceAtMs: 4000 });
  await scheduler.clock.runUntil(2500, () => undefined);
  return ["a", "b"].filter((node) => scheduler.outcomes(node).length > 0);
}

test("an urgent merge preempts backlog where it can be merged, also beside another idle lane", async () => {
  expect(await preemptedFor({ a: BACKLOG, b: BACKLOG })).toEqual(["a"]);
  expect(await preemptedFor({ a: BACKLOG, b: null })).toEqual(["a"]);
  expect(await preemptedFor({ a: AGGREGATION, b: BACKLOG })).toEqual([]);
});

/** Lane "a" merges, and is busy for 9 s; lane "b" merges so many messages, and is idle or has backlog. */
function besideBusy(messagesMax: number, hasBacklog: boolean): TestScheduler {
  const scheduler = new TestScheduler(["a", "b"]);
  const busy = (attempt: number) => ({ kind: "proving", attempt, proof: null }) as const;
  scheduler.announceIdle("a", 1, costs(500, 3000));
  scheduler.submit("first", body, { fenceAtMs: 20_000 });
  scheduler.announce("a", 1, { ...costs(500, 3000), phase: busy(1) });
  const b = { ...costs(500, 500), description: { ...description, messagesMax } };
  scheduler.announceIdle("b", 1, b);
  if (!hasBacklog) return scheduler;
  const limits = { priority: BACKLOG, deadlineAtMs: 20_000, fenceAtMs: 30_000 };
  scheduler.submit("old", groupOfRaws("old", 2000), limits);
  scheduler.announce("b", 1, { ...b, phase: busy(2), isStandbyReady: true });
  return scheduler;
}

test.each([
  ["idle", false],
  ["busy with backlog", true],
])("a merge counts on a lane that is %s only if it merges so many messages", (_, hasBacklog) => {
  const ask = (messagesMax: number) => {
    const scheduler = besideBusy(messagesMax, hasBacklog);
    expect(scheduler.assignments).toHaveLength(hasBacklog ? 2 : 1);
    return scheduler.submit("now", block, { priority: 1, deadlineAtMs: 2000, fenceAtMs: 4000 });
  };
  expect(ask(0)).toMatchObject({ kind: "skipped", reason: "predicted_miss" });
  expect(ask(3)).toMatchObject({ kind: "skipped", reason: "predicted_miss" });
  expect(ask(4).kind).toBe("accepted");
});

/** An idle lane 2 s before the votes that come every 4 s; a merge takes 1 s for each proof. */
async function beforeVotes(): Promise<TestScheduler> {
  const scheduler = idleLane(1000);
  for (let slot = 0; slot < 6; slot++) {
    await scheduler.clock.runUntil(4000 * slot, () => undefined);
    scheduler.submit(`votes-${slot}`, groupOfRaws(`votes-${slot}`, 1));
    const attempt = scheduler.assignments.length;
    const ended = { kind: "failed", reason: "prover_error", detail: "", deaths: 0 } as const;
    scheduler.hear("a", { kind: "ended", attempt, result: ended });
    scheduler.announceIdle("a", attempt + 1, costs(500, 1000));
  }
  await scheduler.clock.runUntil(22_000, () => undefined);
  return scheduler;
}

test("a merge that would be late after the votes to come is refused, so that its node asks for fewer", async () => {
  const scheduler = await beforeVotes();
  const before = scheduler.assignments.length;
  const limits = { deadlineAtMs: 26_000, fenceAtMs: 26_500 };
  scheduler.submit("late", body, limits);
  expect(scheduler.assignments).toHaveLength(before);
  expect(scheduler.outcomes("late")).toMatchObject([
    { status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.PREDICTED_MISS },
  ]);
  scheduler.submit("fewer", groupOfMerge("fewer", { raws: 0, proofs: 1 }), limits);
  expect(scheduler.assignments.at(-1)?.assignment.digest).toBe("fewer");
});

test("a merge that has time after the votes to come waits for them", async () => {
  const scheduler = await beforeVotes();
  const before = scheduler.assignments.length;
  scheduler.submit("waits", body, { deadlineAtMs: 40_000, fenceAtMs: 40_500 });
  expect(scheduler.assignments).toHaveLength(before);
  expect(scheduler.outcomes("waits")).toEqual([]);
});
