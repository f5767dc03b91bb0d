/** A snapshot that asks to replace: what waits of its node is ended, and a few that have begun go on beside it. */
import { describe, expect, test } from "vitest";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bytesToHold } from "../../../server/admission/bytes-to-hold.js";
import { limits } from "../../../server/limits.js";
import type { ProofResult } from "../../../server/work/group.js";
import { keptBytesMin } from "../../../server/work/outcome-bytes.js";
import type { Quota } from "../../../server/work/principal.js";
import { groupOfMerge, groupOfRaws, TestScheduler, provedResult } from "../../helpers/scheduler.js";

const proved: ProofResult = { ...provedResult, validators: [0, 1] };
const work = groupOfRaws("work", 2);
const replacing = { shouldReplace: true };

function oneLane(): TestScheduler {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1);
  return scheduler;
}

test("the same work again joins what runs, but only so often: the node does not fill the service", () => {
  const scheduler = oneLane();
  const answers = Array.from({ length: 20 }, () => scheduler.submit("node", work, replacing));
  const accepted = answers.filter(({ kind }) => kind === "accepted");
  expect(accepted).toHaveLength(limits.begunSessionsMax);
  expect(answers.at(-1)).toMatchObject({ reason: "in_flight", inFlightRequestId: "3" });
  expect(scheduler.admission.listSessions()).toHaveLength(limits.begunSessionsMax);
  // Nobody else is in its way, nor its own work of another class or kind.
  expect(scheduler.submit("other", work, replacing).kind).toBe("accepted");
  expect(scheduler.submit("node", work, { ...replacing, priority: 1 }).kind).toBe("accepted");
  const merge = groupOfMerge("merge", { raws: 0, proofs: 1 });
  expect(scheduler.submit("node", merge, replacing).kind).toBe("accepted");
  scheduler.hear("a", { kind: "ended", attempt: 1, result: proved });
  expect(scheduler.submit("node", work, replacing).kind).toBe("accepted");
});

test("what waits is replaced however often, beside two that have begun", () => {
  const scheduler = oneLane();
  for (let at = 1; at < limits.begunSessionsMax; at++) scheduler.submit("node", work, replacing);
  for (let at = 1; at <= 20; at++) {
    const next = groupOfRaws(`next ${at}`, 1);
    expect(scheduler.submit("node", next, replacing).kind).toBe("accepted");
  }
  expect(scheduler.admission.listSessions()).toHaveLength(limits.begunSessionsMax);
  const outcomes = scheduler.outcomes("node");
  expect(outcomes).toHaveLength(19);
  for (const { status, reason } of outcomes) {
    expect(status).toBe(OutcomeStatus.NOT_STARTED);
    expect(reason).toBe(OutcomeReason.SUPERSEDED);
  }
});

describe("at a quota", () => {
  const quotaOf = (quota: Quota) => ({ principal: { name: "node", quota }, ...replacing });

  test("of sessions, one of which all waits is replaced, and one that runs counts", () => {
    const scheduler = oneLane();
    scheduler.submit("other", groupOfRaws("other", 1));
    const one = quotaOf({ sessionsInFlight: 1 });
    for (const name of ["a", "b"]) {
      expect(scheduler.submit("node", groupOfRaws(name, 1), one).kind).toBe("accepted");
    }
    expect(scheduler.submit("node", work, { ...one, shouldReplace: false }).kind).toBe("skipped");
    const backlog = { ...one, priority: 1 };
    expect(scheduler.submit("node", work, backlog)).toMatchObject({ reason: "overloaded" });
    expect(scheduler.admission.listSessions()).toHaveLength(2);

    const attempt = scheduler.assignments[0]?.attempt ?? 0;
    scheduler.hear("a", { kind: "ended", attempt, result: proved });
    scheduler.announceIdle("a", 2);
    expect(scheduler.submit("node", work, one)).toMatchObject({ reason: "overloaded" });
    expect(scheduler.admission.listSessions()).toHaveLength(1);
  });

  test("of bytes, those of the results of what was replaced count, and no more are held", () => {
    const scheduler = oneLane();
    scheduler.submit("other", groupOfRaws("other", 1));
    const heldBefore = scheduler.memory.heldBytes;
    const merge = (at: number) => groupOfMerge(`merge ${at}`, { raws: 2, proofs: 1, votes: 800 });
    const oneBytes = bytesToHold({ bytes: 1000, groups: [merge(0)] });
    const heldBytes = oneBytes + 3 * (limits.recordBytes + keptBytesMin(merge(0)));
    const quota = quotaOf({ heldBytes });
    const answers = Array.from({ length: 6 }, (_, at) => {
      const answer = scheduler.submit("node", merge(at), quota);
      expect(scheduler.memory.heldBytes - heldBefore).toBeLessThanOrEqual(heldBytes);
      return answer.kind;
    });
    const accepted = Array<string>(4).fill("accepted");
    expect(answers).toEqual([...accepted, "skipped", "skipped"]);
  });
});
