/** For what a group of backlog is killed, on one lane. */
import { expect, test } from "vitest";
import { AGGREGATION, BACKLOG } from "../../../server/work/priority.js";
import type { Envelope } from "../../../server/work/submission.js";
import { busyLane } from "../../helpers/busy-lane.js";
import { groupOfMerge, groupOfRaws } from "../../helpers/scheduler.js";

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
