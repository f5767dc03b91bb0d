/** What a node can ask of `TickAggregator` beyond submitting and taking. */
import { afterEach, expect, it, vi } from "vitest";
import { AggregatorError, encodeSszBitlist } from "../../../client/index.js";
import { SkipReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  cleanUp,
  eventually,
  GATES,
  skippedAs,
  snapshot,
  start,
  takeOne,
} from "./adapter-setup.js";

vi.setConfig({ testTimeout: 30_000 });
afterEach(cleanUp);

it("has nothing to submit when the snapshot function says so", async () => {
  const errors: Error[] = [];
  const { aggregator, metric } = await start({ onError: (error) => errors.push(error) });
  for (const nothing of [() => null, () => undefined, () => snapshot(0)])
    expect(aggregator.submitOrSkip(5, GATES, nothing)).toEqual({ skipped: "nothing_to_submit" });
  expect(await metric("lean_aggregator_skipped_total", { reason: "nothing_to_submit" })).toBe(3);
  expect(errors).toEqual([]);
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true });
});

it("submits nothing while the node has paused aggregation", async () => {
  const { aggregator } = await start();
  const gates = { ...GATES, isPaused: true };
  expect(aggregator.submitOrSkip(5, gates, snapshot)).toEqual({ skipped: "paused" });
});

it("cancels the groups that the node no longer wants, by their attestation data", async () => {
  const { script, aggregator } = await start();
  const root = new Uint8Array(32).fill(9);
  const source = { root, slot: 3n };
  aggregator.submitOrSkip(5, GATES, () => ({ groups: [{}, { data: { slot: 5n, source } }] }));
  root.fill(0);
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved({ groupIndex: 0 });
  await takeOne(aggregator);
  const seen: unknown[] = [];
  aggregator.cancelWhere((group) => {
    seen.push([group.slot, group.groupIndex, group.data.source.slot]);
    return group.data.source.root[0] === 9;
  });
  expect(seen).toEqual([[5, 1, 3n]]);
  expect(aggregator.takeResults(5)).toMatchObject([
    { kind: "cancelled", groupIndex: 1, endpoint: null },
  ]);
  const { requestId } = script.submits[0] ?? {};
  await eventually(() => expect(script.cancels).toMatchObject([{ requestId, groupIndices: [1] }]));
});

it("cancels nothing, and does not throw, when the predicate throws", async () => {
  const errors: Error[] = [];
  const { script, aggregator } = await start({ onError: (error) => errors.push(error) });
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(() => expect(script.submits).toHaveLength(1));
  aggregator.cancelWhere(() => {
    throw new Error("predicate");
  });
  expect(errors.map(({ message }) => message)).toEqual(["predicate"]);
  expect(aggregator.takeResults(5)).toEqual([]);
});

it("says in the node's tick that no endpoint can be reached", async () => {
  const slots: number[] = [];
  const onUnreachable = (slot: number) => {
    slots.push(slot);
    throw new Error("of the node");
  };
  const { script, aggregator } = await start({ onUnreachable, onError: () => undefined });
  script.stop();
  await eventually(() => {
    aggregator.submitOrSkip(6, GATES, snapshot, { mayReplace: true });
    expect(slots).toContain(6);
  });
});

it("reports what the service has skipped after all", async () => {
  const onSkip = vi.fn();
  const { script, aggregator } = await start({ onSkip });
  script.answerTo = () => skippedAs(SkipReason.NO_PROVER);
  expect(aggregator.submitOrSkip(5, { ...GATES, isAggregator: false }, snapshot)).toEqual({
    skipped: "not_aggregator",
  });
  const answer = aggregator.submitOrSkip(5, GATES, snapshot);
  const { requestId } = "submitted" in answer ? answer : { requestId: "" };
  await eventually(() => expect(onSkip.mock.calls).toEqual([["no_prover", requestId]]));
});

it("holds results back until their time", async () => {
  const { script, aggregator, clock } = await start();
  aggregator.submitOrSkip(5, GATES, () => snapshot(2), { holdMs: 1000 });
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved();
  script.send({ case: "status", value: {} });
  script.streams[0]?.end();
  await eventually(() => expect(script.streams).toHaveLength(2));
  clock.nowMs = 999;
  expect(aggregator.takeResults(5)).toEqual([]);
  clock.nowMs = 1000;
  expect(aggregator.takeResults(5)).toMatchObject([{ kind: "outcome" }]);
});

it("sends fewest inputs, steps, and an epoch that grows with each run", async () => {
  const before = BigInt(Date.now());
  const { script, aggregator } = await start();
  const steps = [
    { untilMs: 800.9, weight: 5 },
    { untilMs: 7000, weight: 1 },
  ];
  aggregator.submitOrSkip(5, GATES, snapshot, { minInputs: 2, steps });
  await eventually(() => expect(script.submits).toHaveLength(1));
  expect(script.submits[0]).toMatchObject({
    minInputs: 2,
    steps: [
      { untilMs: 800, weight: 5 },
      { untilMs: 7000, weight: 1 },
    ],
  });
  const { nodeEpoch = 0n } = script.submits[0]?.node ?? {};
  expect(nodeEpoch).toBeGreaterThanOrEqual(before);
  expect(nodeEpoch).toBeLessThanOrEqual(BigInt(Date.now()));
});

it("takes its steps, its fence and a backlog's deadline from the slot clock", async () => {
  const nowUnixMs = 1_770_000_000_000;
  const timeToFence = {
    slotMs: 4000,
    genesisUnixMs: nowUnixMs - 5 * 4000 - 1600,
    wallNowMs: () => nowUnixMs,
  };
  const { script, aggregator } = await start({ timeToFence });
  aggregator.submitOrSkip(5, GATES, snapshot, { priority: "backlog" });
  await eventually(() => expect(script.submits).toHaveLength(1));
  expect(script.submits[0]).toMatchObject({
    deadlineMs: 6400,
    fenceMs: 6400,
    steps: [
      { untilMs: 800, weight: 4 },
      { untilMs: 1600, weight: 2 },
      { untilMs: 6400, weight: 1 },
    ],
  });
});

it("keeps the default fence and steps of the slot however long the snapshot takes", async () => {
  let nowUnixMs = 1_770_000_000_000;
  const timeToFence = {
    slotMs: 4000,
    genesisUnixMs: nowUnixMs - 5 * 4000 - 1600,
    wallNowMs: () => nowUnixMs,
  };
  const { script, aggregator, clock } = await start({ timeToFence });
  aggregator.submitOrSkip(5, GATES, () => {
    clock.nowMs += 300;
    nowUnixMs += 300;
    return snapshot();
  });
  await eventually(() => expect(script.submits).toHaveLength(1));
  expect(script.submits[0]).toMatchObject({
    deadlineMs: 450,
    fenceMs: 6100,
    steps: [
      { untilMs: 500, weight: 4 },
      { untilMs: 1300, weight: 2 },
      { untilMs: 6100, weight: 1 },
    ],
  });
});

it("reads participants with a length bit when the snapshot has them so", async () => {
  const { script, aggregator } = await start();
  const of = (...validators: number[]) => ({ participants: encodeSszBitlist(validators, 8) });
  aggregator.submitOrSkip(5, GATES, () => ({ sszBitlists: true, groups: [{}, {}] }));
  await eventually(() => expect(script.submits).toHaveLength(1));
  expect(script.submits[0]?.snapshot?.sszBitlists).toBe(true);
  script.proved(of(0, 1, 2));
  // A duplicate by its bits; its length bit would be one more validator.
  script.proved({ groupIndex: 1, participants: encodeSszBitlist([0, 1], 3) });
  const kinds: string[] = [];
  await eventually(() => {
    kinds.push(...aggregator.takeResults(5).map(({ kind }) => kind));
    expect(kinds).toEqual(["outcome", "duplicate"]);
  });
});

it("says once that several services answer at one endpoint", async () => {
  const errors: Error[] = [];
  const { script, aggregator } = await start({ onError: (error) => errors.push(error) });
  script.answerTo = ({ requestId }) => ({
    result: { case: "accepted", value: { requestId, fenceMs: 6000, serviceId: "another" } },
  });
  script.isKnowing = false;
  aggregator.submitOrSkip(5, GATES, () => snapshot(2));
  await eventually(() => expect(script.submits).toHaveLength(1));
  for (const streams of [2, 3]) {
    script.streams.at(-1)?.end();
    await eventually(() => expect(script.streams).toHaveLength(streams));
  }
  const isBalanced = (error: Error) =>
    error instanceof AggregatorError && error.kind === "endpoint_is_balanced";
  await eventually(() => expect(errors.filter(isBalanced)).toHaveLength(1));
  expect(aggregator.takeResults(5)).toEqual([]);
});
