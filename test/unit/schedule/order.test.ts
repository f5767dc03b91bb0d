/** Who is next: class, use of the provers, arrival; and the turns of backlog. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { neverOvertaken, takeNext } from "../../../server/schedule/order.js";
import { SLOTS_HALF_LIFE_MS, Usage } from "../../../server/schedule/usage.js";

const [proposal, aggregation, backlog] = [1, 2, 3] as const;
const standing = (
  name: string,
  priority: number,
  usedJobs: number,
  order: number,
  worthPerMs = 10,
) => ({ name, priority, isAhead: false, usedJobs, worthPerMs, order });
const body = { ...standing("body", aggregation, 0, 0, 1e9), isAhead: true };
const overtaken = (backlogTimes: number, ahead = 0) => ({ backlog: backlogTimes, ahead });

test("without waiting groups there is no next one", () => {
  expect(takeNext([], neverOvertaken)).toBeUndefined();
});

test("order is by class, votes before merges made ahead, use of the node, worth for its time, arrival", () => {
  const waiting = [
    standing("backlog", backlog, 0, 1),
    standing("late", aggregation, 10, 5),
    standing("early", aggregation, 10, 4),
    standing("rare", aggregation, 9, 6, 1),
    standing("worth more", aggregation, 10, 8, 11),
    standing("proposal", proposal, 5000, 7),
    body,
  ];
  const names: string[] = [];
  let left = waiting;
  while (left.length > 0) {
    const next = takeNext(left, neverOvertaken)?.next;
    names.push(next?.name ?? "none");
    left = left.filter((each) => each !== next);
  }
  expect(names).toEqual(["proposal", "rare", "worth more", "early", "late", "body", "backlog"]);
});

test("backlog waits for a bounded number of other groups, however many there are", () => {
  const waiting = [standing("backlog", backlog, 9e9, 1), standing("flood", proposal, 0, 2)];
  let timesOvertaken = neverOvertaken;
  const names = Array.from({ length: 2 * (limits.proofsBeforeBacklog + 1) }, () => {
    const taken = takeNext(waiting, timesOvertaken);
    timesOvertaken = taken?.timesOvertaken ?? neverOvertaken;
    return taken?.isBacklogTurn === true ? "turn" : (taken?.next.name ?? "none");
  });
  const round = [...Array.from({ length: limits.proofsBeforeBacklog }, () => "flood"), "turn"];
  expect(names).toEqual([...round, ...round]);
});

test("backlog is overtaken only while it waits, and the count is kept until its turn", () => {
  const flood = standing("flood", aggregation, 0, 2);
  const old = standing("backlog", backlog, 0, 1);
  expect(takeNext([flood], overtaken(5))?.timesOvertaken).toEqual(overtaken(5));
  expect(takeNext([flood, old], overtaken(5))?.timesOvertaken).toEqual(overtaken(6));
  // What may not start now is overtaken all the same.
  expect(takeNext([flood], overtaken(5), [flood, old])?.timesOvertaken).toEqual(overtaken(6));
  expect(takeNext([old], overtaken(5))).toMatchObject({
    isBacklogTurn: false,
    timesOvertaken: overtaken(5),
  });
  // Killed for others so often, it has its turn also where nobody else waits yet.
  const { proofsBeforeBacklog } = limits;
  expect(takeNext([old], overtaken(proofsBeforeBacklog))).toMatchObject({
    isBacklogTurn: true,
    timesOvertaken: neverOvertaken,
  });
});

test("a job of a tree of backlog is overtaken as a group of backlog is", () => {
  const flood = standing("flood", aggregation, 0, 2);
  const job = { priority: backlog, isAhead: false };
  expect(takeNext([flood], overtaken(5), [flood, job])?.timesOvertaken).toEqual(overtaken(6));
});

test("a merge made ahead lets a bounded number of votes go first, and every proposal", () => {
  const votes = standing("votes", aggregation, 100, 2);
  const block = standing("block", proposal, 0, 3);
  let timesOvertaken = neverOvertaken;
  const names = Array.from({ length: limits.proofsBeforeBacklog + 4 }, () => {
    const taken = takeNext([body, votes], timesOvertaken);
    timesOvertaken = taken?.timesOvertaken ?? neverOvertaken;
    return taken?.next.name;
  });
  const first = Array.from({ length: limits.proofsBeforeBacklog }, () => "votes");
  // Its turn is used up, for merges that are never proved must not starve votes; the next one is soon.
  expect(names).toEqual([...first, "body", "votes", "body", "votes"]);
  const due = overtaken(0, limits.proofsBeforeBacklog);
  expect(takeNext([body, votes, block], due)).toMatchObject({ next: block, timesOvertaken: due });
  expect(takeNext([votes], overtaken(0, 3))?.timesOvertaken.ahead).toBe(3);
});

test("a merge that would be late even now does not take the turn of merges made ahead", () => {
  const votes = standing("votes", aggregation, 100, 2);
  const late = { ...body, name: "late", worthPerMs: 0 };
  const due = overtaken(0, limits.proofsBeforeBacklog);
  expect(takeNext([late], due)).toMatchObject({ next: late, timesOvertaken: due });
  expect(takeNext([late, votes], due)?.next).toBe(votes);
  const taken = takeNext([late, body, votes], due);
  expect(taken).toMatchObject({ next: body, timesOvertaken: { ahead: due.ahead - 1 } });
});

test("usage is halved in eight seconds and forgotten in minutes", () => {
  const usage = new Usage(SLOTS_HALF_LIFE_MS);
  usage.charge("a", 1000, 0);
  expect(usage.of("a", 0)).toBe(1000);
  expect(usage.of("a", 8000)).toBeCloseTo(500);
  usage.charge("a", 100, 8000);
  expect(usage.of("a", 8000)).toBeCloseTo(600);
  expect(usage.of("b", 0)).toBe(0);
  usage.expire(120_000);
  expect(usage.of("a", 120_000)).toBe(0);
});

test("what was used replaces what was charged before, and earlier use stays", () => {
  const usage = new Usage(SLOTS_HALF_LIFE_MS);
  usage.charge("a", 1000, 0);
  usage.charge("a", 800, 0);
  usage.settle("a", { ms: 800, atMs: 0 }, 300, 0);
  expect(usage.of("a", 0)).toBeCloseTo(1300);
  usage.charge("a", 4000, 0);
  expect(usage.of("a", 8000)).toBeCloseTo(2650);
  usage.settle("a", { ms: 4000, atMs: 0 }, 500, 8000);
  expect(usage.of("a", 8000), "half of the 4000 had faded").toBeCloseTo(1150);
});
