/** For what a group of backlog is killed, on one lane. */
import { describe, expect, test } from "vitest";
import type { LaneReport } from "../../../server/lane/lane-messages.js";
import { limits } from "../../../server/limits.js";
import { AGGREGATION, BACKLOG } from "../../../server/work/priority.js";
import type { Envelope } from "../../../server/work/submission.js";
import { busyLane, costs, idleLane } from "../../helpers/busy-lane.js";
import { groupOfMerge, groupOfRaws, provedResult, TestScheduler } from "../../helpers/scheduler.js";

const body = groupOfMerge("body", { raws: 0, proofs: 3 });

test("a merge of backlog is preempted for a group that would miss otherwise", () => {
  const limits = { deadlineAtMs: 1000, fenceAtMs: 1500 };
  const backlog = busyLane(body, BACKLOG, 3000);
  expect(backlog.submit("vote", groupOfRaws("vote", 1), limits).kind).toBe("accepted");
  expect(backlog.sentOf("kill")).toMatchObject([{ attempt: 1, reason: "preempted" }]);
  const urgent = busyLane(body, AGGREGATION, 3000);
  urgent.submit("vote", groupOfRaws("vote", 1), { ...limits, priority: 1 });
  expect(urgent.sentOf("kill")).toEqual([]);
});

test("backlog is preempted for votes that would miss a step by waiting, though not their fence", () => {
  const limits = { deadlineAtMs: 15_000, fenceAtMs: 20_000 };
  const steps = [
    { untilAtMs: 1500, weight: 4 },
    { untilAtMs: 20_000, weight: 1 },
  ];
  const killsFor = (changes: Partial<Envelope>) => {
    // It takes 9 s.
    const backlog = busyLane(body, BACKLOG, 3000);
    backlog.submit("vote", groupOfRaws("vote", 1), { ...limits, ...changes });
    return backlog.sentOf("kill");
  };
  expect(killsFor({ steps: [] })).toEqual([]);
  expect(killsFor({ steps })).toMatchObject([{ attempt: 1, reason: "preempted" }]);
});

test("backlog is preempted for a part of a group, too, where the whole is too late already", () => {
  const backlog = busyLane(body, BACKLOG, 3000);
  // The whole takes 4 s.
  const limits = { deadlineAtMs: 1000, fenceAtMs: 1500 };
  expect(backlog.submit("vote", groupOfRaws("vote", 4000), limits).kind).toBe("accepted");
  expect(backlog.sentOf("kill")).toMatchObject([{ attempt: 1, reason: "preempted" }]);
});

describe("of two lanes with backlog", () => {
  const long = { deadlineAtMs: 30_000, fenceAtMs: 40_000 };
  const steps = [
    { untilAtMs: 1500, weight: 4 },
    { untilAtMs: 40_000, weight: 1 },
  ];
  const proving = (attempt: number): Partial<LaneReport> => ({
    ...costs(500, 3000),
    phase: { kind: "proving", attempt, proof: null },
    isStandbyReady: true,
  });
  const bothBusy = () => {
    const scheduler = new TestScheduler(["a", "b"]);
    for (const lane of ["a", "b"]) scheduler.announceIdle(lane, 1, costs(500, 3000));
    scheduler.submit("one", body, { priority: BACKLOG, ...long });
    const other = groupOfMerge("other body", { raws: 0, proofs: 3 });
    scheduler.submit("two", other, { priority: BACKLOG, ...long });
    scheduler.announce("a", 1, proving(1));
    scheduler.announce("b", 1, proving(2));
    return scheduler;
  };

  test("that on a lane out of reach is not killed: it would free no lane", () => {
    const scheduler = bothBusy();
    const phase = { kind: "failed", cause: "out of reach", retryAtMs: 0 } as const;
    scheduler.announce("b", 1, { ...proving(2), phase });
    scheduler.submit("vote", groupOfRaws("vote", 1), { ...long, steps });
    expect(scheduler.sentOf("kill")).toMatchObject([{ lane: "a", reason: "preempted" }]);
  });

  test("one is killed for a second attempt, though its deadline has passed", async () => {
    const scheduler = new TestScheduler(["a", "b"]);
    for (const lane of ["a", "b"]) scheduler.announceIdle(lane, 1, costs(500, 3000));
    scheduler.submit("vote", groupOfRaws("vote", 1), { deadlineAtMs: 100, fenceAtMs: 5000 });
    scheduler.submit("one", body, { priority: BACKLOG, ...long });
    scheduler.announce("b", 1, proving(2));
    await scheduler.clock.runUntil(1000, () => undefined);
    scheduler.schedules.gone("a", "its host has gone");
    await scheduler.clock.runUntil(5000, () => undefined);
    expect(scheduler.sentOf("kill")).toMatchObject([{ lane: "b", reason: "preempted" }]);
  });
});

// Another one's turn would take the lane: the votes would wait for that, and this one be lost for nothing.
test.each([
  { overtaken: limits.proofsBeforeBacklog - 2, kills: 1 },
  { overtaken: limits.proofsBeforeBacklog - 1, kills: 0 },
])("backlog is killed $kills times after $overtaken proofs", ({ overtaken, kills }) => {
  const scheduler = idleLane(3000);
  const long = { deadlineAtMs: 100_000, fenceAtMs: 104_000 };
  const submit = (name: string, changes: Partial<Envelope>, group = groupOfRaws(name, 1)) =>
    scheduler.submit(name, group, { ...long, ...changes });
  submit("first", {});
  submit("one", { priority: BACKLOG }, body);
  for (let n = 0; n < overtaken; n++) submit(`voter ${n}`, {});
  for (let attempt = 1; attempt <= overtaken + 1; attempt++) {
    scheduler.hear("a", { kind: "ended", attempt, result: provedResult });
    scheduler.announceIdle("a", attempt + 1, costs(500, 3000));
  }
  const attempt = overtaken + 2;
  expect(scheduler.assignments.at(-1)).toMatchObject({ attempt, assignment: { digest: "body" } });
  scheduler.announce("a", attempt, {
    ...costs(500, 3000),
    phase: { kind: "proving", attempt, proof: null },
    isStandbyReady: true,
  });
  submit("two", { priority: BACKLOG }, groupOfMerge("other body", { raws: 0, proofs: 3 }));
  const steps = [
    { untilAtMs: 1500, weight: 4 },
    { untilAtMs: 104_000, weight: 1 },
  ];
  submit("vote", { steps });
  expect(scheduler.sentOf("kill")).toHaveLength(kills);
});
