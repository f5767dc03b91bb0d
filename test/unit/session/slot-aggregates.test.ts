/** Slots are counted once each, by the step of the first proof, and only those that say something. */
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { noVotes } from "../../../server/session/votes.js";
import { SlotAggregates } from "../../../server/session/slot-aggregates.js";
import type { Session } from "../../../server/session/session.js";
import { AGGREGATION, BACKLOG } from "../../../server/work/priority.js";
import type { Submission } from "../../../server/work/submission.js";

const steps = [
  { untilAtMs: 100, weight: 4 },
  { untilAtMs: 200, weight: 2 },
  { untilAtMs: 897, weight: 1 },
];

function submissionOf(more: Partial<Submission> = {}): Submission {
  return {
    ...{ nodeId: "a", nodeEpoch: 0n, requestId: "", contentDigest: "", slot: 1n },
    ...{ principal: { name: "a", quota: {} }, priority: AGGREGATION, shouldReplace: false },
    ...{ mayShed: true, minInputs: 1, receivedAtMs: 0, deadlineAtMs: 500, fenceAtMs: 900 },
    ...{ steps, bytes: 0, groups: [] },
    accepted: { deadlineMs: 500, fenceMs: 900, deadlineSource: 1 },
    ...more,
  };
}

type Ended = Pick<Session, "submission" | "votes" | "leftOut">;

/** A session that ended with votes in the step, or with those in no proof. */
function ended(
  step: number | undefined,
  leftOut: string[] = [],
  more?: Partial<Submission>,
): Ended {
  const submission = submissionOf(more);
  const votes = noVotes(submission.steps);
  if (step !== undefined) votes.proved[step] = 2;
  return { submission, votes, leftOut: new Map(leftOut.map((name) => [name, 1])) };
}

function counting() {
  const counted: string[] = [];
  const slots = new SlotAggregates((ready) => counted.push(ready));
  return { slots, counted };
}

test("a slot has the earliest proof of all that its node asked for, counted at the fence", () => {
  const { slots, counted } = counting();
  slots.skipped(submissionOf(), "predicted_miss");
  slots.ended(ended(2));
  slots.ended(ended(1));
  slots.expire(899);
  expect(counted).toEqual([]);
  slots.expire(900);
  slots.expire(2000);
  expect(counted).toEqual(["2"]);
});

test("a slot is counted once, also where its sessions end on both sides of a fence", () => {
  const { slots, counted } = counting();
  const first = ended(undefined, ["not_started: deadline"]);
  const second = ended(2, [], { fenceAtMs: 1900 });
  slots.opened(first.submission);
  slots.opened(second.submission);
  slots.ended(first);
  slots.expire(900);
  expect(counted).toEqual([]);
  slots.ended(second);
  slots.expire(1899);
  expect(counted).toEqual([]);
  slots.expire(1900);
  slots.expire(9000);
  expect(counted).toEqual(["3"]);
});

test("of two sessions with one fence, the slot waits for the one that ends later", () => {
  const { slots, counted } = counting();
  const [first, second] = [ended(undefined, ["stopped: fence"]), ended(1)];
  for (const { submission } of [first, second]) slots.opened(submission);
  slots.ended(first);
  slots.expire(900);
  slots.ended(second);
  slots.expire(901);
  expect(counted).toEqual(["2"]);
});

test("a session that its node cancels holds its slot up until then, and takes no place after", () => {
  const { slots, counted } = counting();
  const [proved, cancelled] = [ended(0), ended(undefined, ["stopped: cancelled"])];
  for (const { submission } of [proved, cancelled]) slots.opened(submission);
  slots.ended(proved);
  slots.expire(900);
  expect(counted).toEqual([]);
  slots.ended(cancelled);
  slots.expire(901);
  expect(counted).toEqual(["1"]);
  for (let slot = 2n; slot < 300n; slot++) {
    const each = ended(undefined, ["stopped: cancelled"], { slot });
    slots.opened(each.submission);
    slots.ended(each);
  }
  slots.skipped(submissionOf({ slot: 300n }), "predicted_miss");
  slots.expire(902);
  expect(counted).toEqual(["1", "never"]);
});

test("a proof after the last step before the fence is late; none at all is never", () => {
  const { slots, counted } = counting();
  slots.ended(ended(2));
  slots.ended(ended(undefined, ["not_started: deadline"], { nodeId: "b" }));
  slots.skipped(submissionOf({ nodeId: "c" }), "predicted_miss");
  slots.expire(900);
  expect(counted).toEqual(["late", "never", "never"]);
});

test("a step is late only by the steps of its own request", () => {
  const { slots, counted } = counting();
  const begun = { steps: steps.slice(1) };
  slots.ended(ended(2));
  slots.ended(ended(0, [], begun));
  slots.ended(ended(0, [], { ...begun, nodeId: "b" }));
  slots.ended(ended(1, [], { ...begun, nodeId: "c" }));
  slots.ended(ended(2, [], { nodeId: "c" }));
  slots.ended(ended(2, [], { nodeId: "d", steps: steps.slice(0, 2) }));
  slots.expire(900);
  expect(counted).toEqual(["1", "1", "late", "late"]);
});

test("what the node ended itself, bad inputs, lookups, merges, backlog and no early steps say nothing", () => {
  const { slots, counted } = counting();
  slots.ended(ended(undefined, ["stopped: cancelled", "not_started: superseded"]));
  slots.ended(ended(undefined, ["bad_signature", "covered"]));
  slots.ended(ended(undefined, ["other_system"], { nodeId: "b" }));
  slots.ended(ended(undefined, ["not_started: min_inputs", "covered"], { nodeId: "c" }));
  slots.skipped({ ...submissionOf(), isLookup: true }, "predicted_miss");
  slots.skipped(submissionOf({ priority: BACKLOG }), "predicted_miss");
  slots.skipped(submissionOf({ isMerge: true }), "predicted_miss");
  slots.ended(ended(0, [], { isMerge: true }));
  slots.ended(ended(0, [], { steps: [] }));
  slots.ended(ended(0, [], { steps: steps.slice(2) }));
  slots.expire(900);
  expect(counted).toEqual([]);
});

test("a snapshot skipped beside a session of its slot says nothing: that session says it", () => {
  const { slots, counted } = counting();
  for (const [nodeId, why] of [
    ["a", "stopped: cancelled"],
    ["b", "stopped: fence"],
  ] as const) {
    const session = ended(undefined, [why], { nodeId });
    slots.opened(session.submission);
    slots.skipped(submissionOf({ nodeId }), "in_flight");
    slots.ended(session);
  }
  slots.expire(900);
  expect(counted).toEqual(["never"]);
});

test("a snapshot skipped for a session of another slot, or for another reason, is never", () => {
  const { slots, counted } = counting();
  const session = ended(undefined, ["stopped: cancelled"]);
  slots.opened(session.submission);
  slots.skipped(submissionOf({ slot: 2n }), "in_flight");
  slots.skipped(submissionOf(), "overloaded");
  slots.ended(session);
  slots.expire(900);
  expect(counted).toEqual(["never", "never"]);
});

test("a node that names many slots takes no place of another", () => {
  const { slots, counted } = counting();
  slots.skipped(submissionOf({ nodeId: "quiet" }), "predicted_miss");
  for (let slot = 0n; slot < 10_000n; slot++)
    slots.skipped(submissionOf({ nodeId: "loud", slot, fenceAtMs: 2000 }), "predicted_miss");
  slots.ended(ended(0, [], { nodeId: "quiet" }));
  slots.expire(900);
  expect(counted).toEqual(["1"]);
  slots.expire(2000);
  expect(counted).toHaveLength(1 + limits.slotsCountedOfNodeMax);
});
