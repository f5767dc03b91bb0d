/** Which results `watch` has shown already. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ShownResults } from "../../../cli/shown-results.js";
import {
  OpenedSchema,
  OutcomeSchema,
  RequestState,
  StatusSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const outcome = (requestId: string, groupIndex: number) =>
  ({ case: "outcome", value: create(OutcomeSchema, { requestId, groupIndex }) }) as const;
const summary = (requestId: string) =>
  ({ case: "summary", value: create(SummarySchema, { requestId }) }) as const;
const opened = (run: string, states: Record<string, RequestState> = {}) => {
  const awaited = Object.entries(states).map(([requestId, state]) => ({ requestId, state }));
  return { case: "opened", value: create(OpenedSchema, { run, awaited }) } as const;
};
const { UNKNOWN, ENDED } = RequestState;

test("an outcome and a summary are new once, a status always", () => {
  const shown = new ShownResults();
  shown.isNew(opened("run-1"));
  const events = [outcome("a", 0), outcome("a", 1), outcome("b", 0), summary("a"), summary("b")];
  expect(events.map((event) => shown.isNew(event))).toEqual([true, true, true, true, true]);
  shown.isNew(opened("run-1", { a: ENDED, b: ENDED }));
  expect(events.some((event) => shown.isNew(event))).toBe(false);
  const status = { case: "status", value: create(StatusSchema) } as const;
  expect(shown.isNew(status) && shown.isNew(status)).toBe(true);
});

test("what an earlier stream broke off goes on", () => {
  const shown = new ShownResults();
  shown.isNew(opened("run-1"));
  shown.isNew(outcome("a", 0));
  shown.isNew(opened("run-1", { a: RequestState.IN_FLIGHT }));
  const events = [outcome("a", 0), outcome("a", 1), summary("a")];
  expect(events.map((event) => shown.isNew(event))).toEqual([false, true, true]);
});

test.each([
  ["on the same stream", []],
  ["after a break, when the service has forgotten the first", [opened("run-1", { a: UNKNOWN })]],
  ["after a break, when the service repeats the first", [opened("run-1", { a: ENDED }), "repeat"]],
  ["in another run of the service", [opened("run-2", { a: ENDED })]],
] as const)("another session with the same request id is new: %s", (_, between) => {
  const shown = new ShownResults();
  const session = [outcome("a", 0), summary("a")];
  shown.isNew(opened("run-1"));
  expect(session.map((event) => shown.isNew(event))).toEqual([true, true]);
  for (const event of between) {
    if (event === "repeat") expect(session.some((each) => shown.isNew(each))).toBe(false);
    else shown.isNew(event);
  }
  expect(session.map((event) => shown.isNew(event))).toEqual([true, true]);
});

test("a new stream names the latest 64 requests", () => {
  const shown = new ShownResults();
  for (let at = 0; at < 70; at++) shown.isNew(outcome(`r${at}`, at));
  const awaited = shown.awaited();
  expect(awaited).toHaveLength(64);
  expect(awaited[0]).toEqual({ requestId: "r6" });
  expect(awaited[63]).toEqual({ requestId: "r69" });
});
