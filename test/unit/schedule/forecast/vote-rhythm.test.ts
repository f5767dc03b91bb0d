/** When votes are expected, by the gaps between those that came. */
import { expect, test } from "vitest";
import { BACKLOG } from "../../../../server/work/priority.js";
import { VoteRhythm } from "../../../../server/schedule/forecast/vote-rhythm.js";
import { groupOfMerge, groupOfRaws } from "../../../helpers/scheduler.js";

const votes = { priority: 2, groups: [groupOfRaws("votes", 1)] };
const body = { priority: 2, groups: [groupOfMerge("body", { raws: 0, proofs: 2 })] };

/** Votes of two nodes in each of ten slots of 4 s, the last at 36.1 s. */
function slots(): VoteRhythm {
  const rhythm = new VoteRhythm();
  for (let slot = 0; slot < 10; slot++) {
    rhythm.heard(votes, slot * 4000);
    rhythm.heard(votes, slot * 4000 + 100);
  }
  return rhythm;
}

test("votes are expected when the gap between two bursts is over", () => {
  const rhythm = slots();
  expect(rhythm.expectedWithin(3000, 36_500)).toBeUndefined();
  expect(rhythm.expectedWithin(3000, 37_500)).toEqual({ untilMs: 40_250 });
});

test("votes that are a little late are awaited, and those of a missed slot no longer", () => {
  expect(slots().expectedWithin(1000, 40_200)).toEqual({ untilMs: 40_250 });
  expect(slots().expectedWithin(1000, 40_300)).toBeUndefined();
  expect(slots().expectedWithin(60_000, 40_300)).toBeUndefined();
});

test("nothing is expected before votes have come twice, and of merges and backlog nothing is learned", () => {
  const rhythm = new VoteRhythm();
  expect(rhythm.expectedWithin(1e9, 0)).toBeUndefined();
  for (let at = 0; at < 5; at++) {
    rhythm.heard(body, at * 1000);
    rhythm.heard({ ...votes, priority: BACKLOG }, at * 1000 + 500);
  }
  expect(rhythm.expectedWithin(1e9, 5000)).toBeUndefined();
  rhythm.heard(votes, 5000);
  expect(rhythm.expectedWithin(1e9, 6000)).toBeUndefined();
  rhythm.heard(votes, 9000);
  expect(rhythm.expectedWithin(1e9, 10_000)).toEqual({ untilMs: 13_250 });
});

test("a gap that few others are like holds nothing back", () => {
  const rhythm = slots();
  rhythm.heard(votes, 37_000);
  rhythm.heard(votes, 41_000);
  expect(rhythm.expectedWithin(2000, 41_100)).toBeUndefined();
  expect(rhythm.expectedWithin(2000, 43_500)).toEqual({ untilMs: 45_150 });
});
