/** The adapter's call for merges: beside the votes, with the same promises. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { ComponentInit } from "../../../client/index.js";
import { eventOf } from "../../../client/adapter/wire-events.js";
import {
  BusyPolicy,
  KeyRole,
  OutcomeSchema,
  OutcomeStatus,
  Priority,
  ProofKind,
  SnapshotSchema,
  StreamResultsResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bytesOf, loadMerges, mergeOf, roleOf } from "../../helpers/merge-vectors.js";
import { cleanUp, eventually, GATES, snapshot, start, takeOne } from "./adapter-setup.js";

vi.setConfig({ testTimeout: 30_000 });
afterEach(cleanUp);

const MERGE_GATES = { hasState: true };
const { cases, outcomes } = loadMerges();

const proved: ComponentInit = {
  data: { slot: 5n },
  proof: new Uint8Array([1]),
  participants: new Uint8Array([3]),
};
const merge = () => ({ components: [proved] });
const claims = [{ signed: { case: "data" as const, value: { slot: 5n } } }];

describe("the merges of test/vectors", () => {
  it.each(cases)("$name", async ({ slot, priority, merge: vector, skipped, names, ...rest }) => {
    const errors: Error[] = [];
    const { script, aggregator } = await start({ onError: (error) => errors.push(error) });
    const options = { priority, fenceMs: 7000 };
    const answer = aggregator.mergeOrSkip(slot, MERGE_GATES, () => mergeOf(vector), options);
    if (skipped !== undefined) {
      expect(answer).toEqual({ skipped });
      expect(errors.map(({ message }) => message).join()).toContain(names ?? "");
      return;
    }
    expect(answer).toMatchObject({ submitted: true });
    await eventually(() => expect(script.submits).toHaveLength(1));
    const sent = script.submits[0]?.snapshot ?? create(SnapshotSchema);
    expect(Buffer.from(toBinary(SnapshotSchema, sent)).toString("hex")).toBe(rest.snapshot);
  });

  it.each(outcomes)("$name", ({ outcome: hex, event, claims: expected }) => {
    const outcome = fromBinary(OutcomeSchema, bytesOf(hex));
    const response = create(StreamResultsResponseSchema, {
      event: { case: "outcome", value: outcome },
    });
    const got = eventOf("A", response, () => false);
    expect(got).toEqual({
      ...event,
      kind: "outcome",
      endpoint: "A",
      participants: bytesOf(String(event.participants)),
      payload: outcome,
    });
    expect(outcome.claims).toHaveLength(expected.length);
    for (const [index, { participants, root, slot, role }] of expected.entries()) {
      const claim = outcome.claims[index];
      expect(claim?.participants).toEqual(bytesOf(participants));
      if (root === undefined) expect(claim?.signed.case).toBe("data");
      else
        expect(claim?.signed).toMatchObject({
          case: "root",
          value: { root: bytesOf(root), slot: BigInt(slot ?? 0) },
        });
      if (role !== undefined) expect(claim?.role).toBe(roleOf(role));
    }
  });
});

it("submits a merge of one group, to start until its fence, and returns its claims", async () => {
  const { script, aggregator, metric } = await start();
  expect(aggregator.mergeOrSkip(5, MERGE_GATES, merge)).toMatchObject({ submitted: true });
  await eventually(() => expect(script.submits).toHaveLength(1));
  const [sent] = script.submits;
  expect(sent).toMatchObject({
    priority: Priority.AGGREGATION,
    busyPolicy: BusyPolicy.SKIP,
    deadlineMs: 7000,
    fenceMs: 7000,
    steps: [],
  });
  expect(sent?.snapshot?.groups.map(({ kind }) => kind)).toEqual([ProofKind.MERGE]);
  const requestId = sent?.requestId ?? "";
  const status = OutcomeStatus.PROVED;
  const votes = { proved: [2] };
  const value = { requestId, slot: 5n, status, claims, proof: new Uint8Array([1]), votes };
  script.send({ case: "outcome", value });
  const [result] = await takeOne(aggregator);
  expect(result).toMatchObject({ kind: "outcome", requestId, groupIndex: 0, outcome: { claims } });
  expect(await metric("lean_aggregator_votes_total", { fate: "proved" })).toBe(0);
});

it("needs no aggregator for a merge, and keeps the other gates", async () => {
  const { aggregator } = await start();
  const gates = { ...GATES, isAggregator: false };
  expect(aggregator.mergeOrSkip(5, { ...gates, hasState: false }, merge)).toEqual({
    skipped: "missing_state",
  });
  expect(aggregator.mergeOrSkip(5, { ...gates, isPaused: true }, merge)).toEqual({
    skipped: "paused",
  });
  expect(aggregator.mergeOrSkip(5, gates, merge)).toMatchObject({ submitted: true });
});

it("has votes and a merge of one priority in flight side by side, and one of each", async () => {
  const { script, aggregator } = await start();
  expect(aggregator.mergeOrSkip(5, MERGE_GATES, merge)).toMatchObject({ submitted: true });
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true });
  expect(aggregator.mergeOrSkip(5, MERGE_GATES, merge)).toEqual({ skipped: "in_flight" });
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toEqual({ skipped: "in_flight" });
  await eventually(() => expect(script.submits).toHaveLength(2));
  const [first] = script.submits;
  script.summary(first?.requestId);
  await eventually(() =>
    expect(aggregator.mergeOrSkip(5, MERGE_GATES, merge)).toMatchObject({ submitted: true }),
  );
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toEqual({ skipped: "in_flight" });
});

it("cancels a merge by its request, and shows none to the predicate for votes", async () => {
  const { script, aggregator } = await start();
  const answer = aggregator.mergeOrSkip(5, MERGE_GATES, merge);
  await eventually(() => expect(script.submits).toHaveLength(1));
  const isAsked = vi.fn(() => true);
  aggregator.cancelWhere(isAsked);
  expect(isAsked).not.toHaveBeenCalled();
  if (!("requestId" in answer)) throw new Error("the merge was skipped");
  aggregator.cancel(answer.requestId);
  expect(aggregator.takeResults(5)).toMatchObject([{ kind: "cancelled", groupIndex: 0 }]);
  await eventually(() => expect(script.cancels).toMatchObject([{ groupIndices: [0] }]));
});

it("says what is wrong with a root's slot", async () => {
  const errors: Error[] = [];
  const { aggregator } = await start({ onError: (error) => errors.push(error) });
  const component = { root: new Uint8Array(32), slot: -1, role: KeyRole.PROPOSAL, signatures: [] };
  const bad = () => ({ components: [component] });
  expect(aggregator.mergeOrSkip(5, MERGE_GATES, bad)).toEqual({ skipped: "invalid" });
  expect(errors.map(({ message }) => message)).toEqual([
    "components[0].slot is -1: give a whole number from 0",
  ]);
});
