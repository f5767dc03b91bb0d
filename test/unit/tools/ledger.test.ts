/** The books that the load and the crowd are judged by: they must be able to find fault. */
import { create } from "@bufbuild/protobuf";
import { beforeEach, expect, test } from "vitest";
import {
  OutcomeStatus,
  SessionSchema,
  SessionState,
  StreamResultsResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Ledger } from "../../../tools/harness/ledger.js";

const requestId = "s";
const { PROVED, FAILED } = OutcomeStatus;

let ledger: Ledger;
beforeEach(() => {
  ledger = new Ledger();
});

function tell(groupIndex: number, status = PROVED): void {
  const value = { requestId, groupIndex, status };
  ledger.told(create(StreamResultsResponseSchema, { event: { case: "outcome", value } }));
}

function end(groups: number): string | undefined {
  const event = { case: "summary", value: { requestId, groups } } as const;
  return ledger.told(create(StreamResultsResponseSchema, { event }));
}

const sessionOf = (...statuses: OutcomeStatus[]) =>
  create(SessionSchema, {
    requestId,
    state: SessionState.ENDED,
    outcomes: statuses.map((status, groupIndex) => ({ groupIndex, status })),
  });

test("a session whose groups are reported once each, in any order, settles without a problem", () => {
  tell(1);
  ledger.accepted(requestId, 2);
  tell(0, FAILED);
  expect(end(2)).toBe(requestId);
  ledger.settle(requestId, sessionOf(FAILED, PROVED));
  expect(ledger.problems).toEqual([]);
  expect(ledger.open().size).toBe(0);
});

test("what was reported and never accepted, or accepted and never ended, stays open", () => {
  tell(0);
  expect([...ledger.open().keys()]).toEqual([requestId]);
  ledger.accepted(requestId, 1);
  expect([...ledger.open().keys()]).toEqual([requestId]);
});

test.each<[string, RegExp, () => void]>([
  ["a group reported twice", /group 0 was reported twice/, () => [tell(0), tell(0)]],
  ["a group reported after the end", /reported after the end/, () => [tell(0), end(1), tell(1)]],
  ["an end without every outcome", /ended with 1 of 2 outcomes/, () => [tell(0), end(2)]],
  ["two ends", /ended twice/, () => [tell(0), end(1), end(1)]],
  ["two answers", /accepted twice/, () => ledger.accepted(requestId, 1)],
  ["a lost outcome", /has 0 of 1/, () => ledger.settle(requestId, sessionOf())],
  ["no session", /has not ended/, () => ledger.settle(requestId, undefined)],
  [
    "an outcome reported in two ways",
    /was reported PROVED and is FAILED/,
    () => [tell(0), end(1), ledger.settle(requestId, sessionOf(FAILED))],
  ],
  [
    "an outcome after all is settled",
    /after it was settled/,
    () => [tell(0), end(1), ledger.settle(requestId, sessionOf(PROVED)), tell(0)],
  ],
])("%s is a problem", (_, problem, happens) => {
  ledger.accepted(requestId, 1);
  happens();
  expect(ledger.problems.join("\n")).toMatch(problem);
});
