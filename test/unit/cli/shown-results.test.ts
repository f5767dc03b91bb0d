/** Which results `watch` has shown already. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ShownResults } from "../../../cli/shown-results.js";
import {
  OpenedSchema,
  OutcomeSchema,
  StatusSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const outcome = (requestId: string, groupIndex: number, queueMs = 5) =>
  ({ case: "outcome", value: create(OutcomeSchema, { requestId, groupIndex, queueMs }) }) as const;
const summary = (requestId: string) =>
  ({ case: "summary", value: create(SummarySchema, { requestId }) }) as const;
const opened = (run: string) => ({ case: "opened", value: create(OpenedSchema, { run }) }) as const;

test("an outcome and a summary are new once, a status always", () => {
  const shown = new ShownResults();
  shown.isNew(opened("run-1"));
  const events = [outcome("a", 0), outcome("a", 1), outcome("b", 0), summary("a"), summary("b")];
  expect(events.map((event) => shown.isNew(event))).toEqual([true, true, true, true, true]);
  shown.isNew(opened("run-1"));
  expect(events.some((event) => shown.isNew(event))).toBe(false);
  const status = { case: "status", value: create(StatusSchema) } as const;
  expect(shown.isNew(status) && shown.isNew(status)).toBe(true);
});

test("what an earlier stream broke off goes on", () => {
  const shown = new ShownResults();
  shown.isNew(opened("run-1"));
  shown.isNew(outcome("a", 0));
  shown.isNew(opened("run-1"));
  const events = [outcome("a", 0), outcome("a", 1), summary("a")];
  expect(events.map((event) => shown.isNew(event))).toEqual([false, true, true]);
});

test.each([
  ["on the same stream", [], 5],
  ["after a break, when the service has forgotten the first", [opened("run-1")], 6],
  ["after a break, when the service repeats the first", [opened("run-1"), "repeat"], 5],
  ["in another run of the service", [opened("run-2")], 5],
] as const)("another session with the same request id is new: %s", (_, between, queueMs) => {
  const shown = new ShownResults();
  const first = [outcome("a", 0), summary("a")];
  shown.isNew(opened("run-1"));
  expect(first.map((event) => shown.isNew(event))).toEqual([true, true]);
  for (const event of between) {
    if (event === "repeat") expect(first.some((each) => shown.isNew(each))).toBe(false);
    else shown.isNew(event);
  }
  const second = [outcome("a", 0, queueMs), summary("a")];
  expect(second.map((event) => shown.isNew(event))).toEqual([true, true]);
});
