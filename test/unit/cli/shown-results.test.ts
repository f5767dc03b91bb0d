/** Which results `watch` has shown already. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { ShownResults } from "../../../cli/shown-results.js";
import {
  OutcomeSchema,
  StatusSchema,
  SummarySchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

const outcome = (requestId: string, groupIndex: number) =>
  ({ case: "outcome", value: create(OutcomeSchema, { requestId, groupIndex }) }) as const;
const summary = (requestId: string) =>
  ({ case: "summary", value: create(SummarySchema, { requestId }) }) as const;

test("an outcome and a summary are new once, a status always", () => {
  const shown = new ShownResults();
  const events = [outcome("a", 0), outcome("a", 1), outcome("b", 0), summary("a"), summary("b")];
  expect(events.map((event) => shown.isNew(event))).toEqual([true, true, true, true, true]);
  expect(events.some((event) => shown.isNew(event))).toBe(false);
  const status = { case: "status", value: create(StatusSchema) } as const;
  expect(shown.isNew(status) && shown.isNew(status)).toBe(true);
});

test("a new stream names the latest 64 requests with the groups that are shown", () => {
  const shown = new ShownResults();
  for (let at = 0; at < 70; at++) shown.isNew(outcome(`r${at}`, at));
  const awaited = shown.awaited();
  expect(awaited).toHaveLength(64);
  expect(awaited[0]).toEqual({ requestId: "r6", receivedGroups: [6] });
  expect(awaited[63]).toEqual({ requestId: "r69", receivedGroups: [69] });
});
