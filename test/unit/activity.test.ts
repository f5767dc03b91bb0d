/** The ring of activities: bounded, in order, and honest about what a slow reader misses. */
import { expect, test } from "vitest";
import { ActivityFeed } from "../../server/activity.js";

function filled(recordsMax: number, added: number): ActivityFeed {
  const feed = new ActivityFeed(recordsMax);
  for (let atMs = 0; atMs < added; atMs++) feed.add({ atMs });
  return feed;
}

const timesOf = (records: readonly { atMs?: number }[]) => records.map(({ atMs }) => atMs);

test("a reader gets every record once, in order, in portions", () => {
  const feed = filled(8, 5);
  const first = feed.take(0, 3);
  expect(timesOf(first.records)).toEqual([0, 1, 2]);
  expect(feed.has(first.next)).toBe(true);
  const second = feed.take(first.next, 3);
  expect(timesOf(second.records)).toEqual([3, 4]);
  expect(feed.has(second.next)).toBe(false);
  expect(feed.take(second.next, 3)).toEqual({ records: [], missed: 0, next: 5 });
});

test("a reader that is too slow gets what is kept, and the number of what it missed", () => {
  const taken = filled(8, 20).take(3, 100);
  expect(timesOf(taken.records)).toEqual([12, 13, 14, 15, 16, 17, 18, 19]);
  expect(taken.missed).toBe(9);
  expect(taken.next).toBe(20);
});
