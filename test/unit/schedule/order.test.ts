/** Who is next: class, use of the provers, arrival; and the turns of backlog. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { takeNext } from "../../../server/schedule/order.js";
import { SLOTS_HALF_LIFE_MS, Usage } from "../../../server/schedule/usage.js";

const [proposal, aggregation, backlog] = [1, 2, 3] as const;
const standing = (
  name: string,
  priority: number,
  usedProofs: number,
  order: number,
  worthPerMs = 10,
) => ({ name, priority, usedProofs, worthPerMs, order });

test("without waiting groups there is no next one", () => {
  expect(takeNext([], 0)).toBeUndefined();
});

test("order is by class, then the node that used less, the worth for its time, the earlier arrival", () => {
  const waiting = [
    standing("backlog", backlog, 0, 1),
    standing("late", aggregation, 10, 5),
    standing("early", aggregation, 10, 4),
    standing("rare", aggregation, 9, 6, 1),
    standing("worth more", aggregation, 10, 8, 11),
    standing("proposal", proposal, 5000, 7),
  ];
  const names: string[] = [];
  let left = waiting;
  while (left.length > 0) {
    const next = takeNext(left, 0)?.next;
    names.push(next?.name ?? "none");
    left = left.filter((each) => each !== next);
  }
  expect(names).toEqual(["proposal", "rare", "worth more", "early", "late", "backlog"]);
});

test("backlog waits for a bounded number of other groups, however many there are", () => {
  const waiting = [standing("backlog", backlog, 9e9, 1), standing("flood", proposal, 0, 2)];
  let timesOvertaken = 0;
  const names = Array.from({ length: 2 * (limits.proofsBeforeBacklog + 1) }, () => {
    const taken = takeNext(waiting, timesOvertaken);
    timesOvertaken = taken?.timesOvertaken ?? 0;
    return taken?.isBacklogTurn === true ? "turn" : (taken?.next.name ?? "none");
  });
  const round = [...Array.from({ length: limits.proofsBeforeBacklog }, () => "flood"), "turn"];
  expect(names).toEqual([...round, ...round]);
});

test("backlog is overtaken only while it waits, and the count is kept until its turn", () => {
  const flood = standing("flood", aggregation, 0, 2);
  const old = standing("backlog", backlog, 0, 1);
  expect(takeNext([flood], 5)?.timesOvertaken).toBe(5);
  expect(takeNext([flood, old], 5)?.timesOvertaken).toBe(6);
  expect(takeNext([old], 5)).toMatchObject({ isBacklogTurn: false, timesOvertaken: 5 });
  // Killed for others so often, it has its turn also where nobody else waits yet.
  const { proofsBeforeBacklog } = limits;
  expect(takeNext([old], proofsBeforeBacklog)).toMatchObject({
    isBacklogTurn: true,
    timesOvertaken: 0,
  });
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

test("an excess charge is subtracted, never below zero", () => {
  const usage = new Usage(SLOTS_HALF_LIFE_MS);
  usage.charge("a", 1000, 0);
  usage.charge("a", -400, 0);
  expect(usage.of("a", 0)).toBe(600);
  usage.charge("a", -4000, 0);
  expect(usage.of("a", 0)).toBe(0);
});
