/** `TickAggregator` and `AggregatorClient` against a scripted service. No sleeps. */
import dns from "node:dns";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { afterEach, expect, it, vi } from "vitest";
import { AggregatorClient, TickAggregator } from "../../../client/index.js";
import {
  ServiceState,
  SkipReason,
  StreamResultsResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  cleanups,
  cleanUp,
  eventually,
  GATES,
  skippedAs,
  snapshot,
  start,
  takeOne,
} from "./adapter-setup.js";
import { PROOF, ScriptedService } from "./scripted-service.js";

vi.setConfig({ testTimeout: 30_000 });
afterEach(cleanUp);

/** Submits until the latch lets it: what frees it comes over the wire. */
async function submitOnceFree(aggregator: TickAggregator): Promise<void> {
  await eventually(() =>
    expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true }),
  );
}

it("delivers an outcome once and frees the latch with the summary", async () => {
  const { script, aggregator, metric } = await start();
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true });
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toEqual({ skipped: "in_flight" });
  await eventually(() => expect(script.submits).toHaveLength(1));
  expect(script.submits[0]).toMatchObject({ deadlineMs: 750, fenceMs: 7000 });
  expect(script.submits[0]?.snapshot?.slot).toBe(5n);
  script.proved();
  script.proved();
  const results = await takeOne(aggregator);
  expect(results).toMatchObject([{ kind: "outcome", outcome: { proof: PROOF } }]);
  script.summary();
  await submitOnceFree(aggregator);
  expect(aggregator.takeResults(5)).toEqual([]);
  expect(await metric("lean_aggregator_skipped_total", { reason: "no_prover" })).toBe(0);
});

it("counts the service's skip and takes the next snapshot", async () => {
  const { script, aggregator, metric } = await start();
  script.answerTo = () => skippedAs(SkipReason.OVERLOADED);
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(async () =>
    expect(await metric("lean_aggregator_skipped_total", { reason: "overloaded" })).toBe(1),
  );
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true });
});

it("never throws from the tick", async () => {
  const onError = vi.fn(() => {
    throw new Error("reporter");
  });
  const { aggregator, metric } = await start({ onError });
  const broken = () => {
    throw new Error("no snapshot");
  };
  expect(aggregator.submitOrSkip(5, GATES, broken)).toEqual({ skipped: "snapshot_threw" });
  const bad = { keys: [{ validatorIndex: -1 }], groups: [{}] };
  expect(aggregator.submitOrSkip(5, GATES, () => bad)).toEqual({ skipped: "invalid" });
  expect(aggregator.submitOrSkip(0.5, GATES, snapshot)).toEqual({ skipped: "invalid" });
  expect(await metric("lean_aggregator_skipped_total", { reason: "invalid" })).toBe(2);
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true });
  expect(onError).toHaveBeenCalledTimes(3);
});

it("awaits what is missing on a new stream when one breaks", async () => {
  const { script, aggregator } = await start();
  const answer = aggregator.submitOrSkip(5, GATES, () => snapshot(2));
  const { requestId } = "submitted" in answer ? answer : { requestId: "" };
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved();
  expect(await takeOne(aggregator)).toHaveLength(1);
  script.streams[0]?.end();
  await eventually(() => expect(script.streams).toHaveLength(2));
  expect(script.streams[1]?.request).toMatchObject({
    node: { nodeId: "test" },
    awaited: [{ requestId, receivedGroups: [0] }],
  });
  script.proved();
  script.proved({ groupIndex: 1 });
  expect(await takeOne(aggregator)).toMatchObject([{ kind: "outcome", groupIndex: 1 }]);
});

it("skips as unreachable when the service is gone, and loses what it held at the fence", async () => {
  const { script, aggregator, clock, metric } = await start();
  aggregator.submitOrSkip(5, GATES, () => snapshot(2));
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved();
  // One of the two ends, which shows that the answer to the submission is in.
  expect(await takeOne(aggregator)).toHaveLength(1);
  script.stop();
  await eventually(() =>
    expect(aggregator.submitOrSkip(5, GATES, snapshot, { mayReplace: true })).toEqual({
      skipped: "unreachable",
    }),
  );
  expect(aggregator.takeResults(6)).toEqual([]);
  clock.nowMs = 7000;
  expect(aggregator.takeResults(6)).toMatchObject([{ kind: "lost", groupIndex: 1 }]);
  expect(await metric("lean_aggregator_lost_groups_total")).toBe(1);
});

/** Two services, both connected, the first preferred. */
async function startTwo() {
  const second = new ScriptedService("s2");
  const secondAddress = await second.listen();
  cleanups.push(() => second.stop());
  const first = new ScriptedService();
  const firstAddress = await first.listen();
  cleanups.push(() => first.stop());
  const endpoints = [firstAddress, secondAddress];
  const timeToFence = () => 7000;
  const aggregator = new TickAggregator({ endpoints, nodeId: "test", timeToFence });
  cleanups.push(() => aggregator.close({ drainMs: 0 }));
  await eventually(() => expect(first.streams).toHaveLength(1));
  await eventually(() => expect(second.streams).toHaveLength(1));
  return { first, second, aggregator };
}

it("goes to the next endpoint when the first is gone", async () => {
  const { first, second, aggregator } = await startTwo();
  first.stop();
  await eventually(() => {
    aggregator.submitOrSkip(5, GATES, snapshot);
    expect(second.submits.length).toBeGreaterThan(0);
  });
});

it("sends a snapshot to the next endpoint when the first is draining", async () => {
  const { first, second, aggregator } = await startTwo();
  first.answerTo = () => skippedAs(SkipReason.DRAINING);
  await eventually(() => {
    aggregator.submitOrSkip(5, GATES, snapshot);
    expect(second.submits).toHaveLength(1);
  });
  expect(second.submits[0]?.requestId).toBe(first.submits.at(-1)?.requestId);
  second.proved();
  expect(await takeOne(aggregator)).toMatchObject([{ kind: "outcome" }]);
});

it("has copied the snapshot when the call returns", async () => {
  const { script, aggregator } = await start();
  const signature = new Uint8Array([1, 2, 3]);
  const rawSignatures = [{ validatorIndex: 4, signature }];
  aggregator.submitOrSkip(5, GATES, () => ({ groups: [{ rawSignatures }] }));
  signature.fill(0);
  rawSignatures.length = 0;
  await eventually(() => expect(script.submits).toHaveLength(1));
  const sent = script.submits[0]?.snapshot?.groups[0]?.rawSignatures;
  expect(sent).toMatchObject([{ validatorIndex: 4, signature: Buffer.from([1, 2, 3]) }]);
});

it("delivers a proof only after the node's own verification", async () => {
  const checks: ((isValid: boolean) => void)[] = [];
  const verify = () => new Promise<boolean>((resolve) => checks.push(resolve));
  const { script, aggregator } = await start({ verify });
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved();
  await eventually(() => expect(checks).toHaveLength(1));
  expect(aggregator.takeResults(5)).toEqual([]);
  checks[0]?.(false);
  expect(await takeOne(aggregator)).toMatchObject([{ kind: "refused" }]);
});

it.each([undefined, null, 1, "yes"])("refuses a proof if the hook answers %j", async (answer) => {
  const verify = (() => Promise.resolve(answer)) as never;
  const { script, aggregator } = await start({ verify });
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved();
  expect(await takeOne(aggregator)).toMatchObject([{ kind: "refused" }]);
});

it("closes within its bound, cancels what is in flight, and stays closed", async () => {
  const { script, aggregator } = await start();
  aggregator.submitOrSkip(5, GATES, () => snapshot(2));
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.proved();
  expect(await takeOne(aggregator)).toHaveLength(1);
  const startMs = performance.now();
  const closing = aggregator.close({ drainMs: 200 });
  expect(aggregator.close()).toBe(closing);
  await closing;
  expect(performance.now() - startMs).toBeLessThan(2000);
  expect(script.cancels).toMatchObject([{ groupIndices: [1] }]);
  expect(aggregator.takeResults(5)).toMatchObject([{ kind: "lost" }]);
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toEqual({ skipped: "draining" });
});

it.each([
  ["its fence", -1, 750],
  ["its fence by less than a millisecond", 0.9, 750],
  ["its deadline", 7000, 0],
])("sends nothing past %s, as after a stall of the node", async (_what, fenceMs, deadlineMs) => {
  const { script, aggregator, metric } = await start({ timeToFence: () => fenceMs });
  const options = { deadlineMs };
  expect(aggregator.submitOrSkip(5, GATES, snapshot, options)).toEqual({
    skipped: "predicted_miss",
  });
  expect(await metric("lean_aggregator_skipped_total", { reason: "predicted_miss" })).toBe(1);
  expect(script.submits).toEqual([]);
});

it("closes within its bound when the name of the service never resolves", async () => {
  const lookup = vi.spyOn(dns.promises, "lookup").mockReturnValue(new Promise(() => undefined));
  cleanups.push(() => lookup.mockRestore());
  const aggregator = new TickAggregator({
    endpoints: "service.invalid:1",
    nodeId: "test",
    timeToFence: () => 7000,
  });
  await eventually(() => expect(lookup).toHaveBeenCalled());
  expect(aggregator.submitOrSkip(5, GATES, snapshot)).toMatchObject({ submitted: true });
  const startMs = performance.now();
  await aggregator.close({ drainMs: 50 });
  expect(performance.now() - startMs).toBeLessThan(5000);
  expect(aggregator.takeResults(5)).toEqual([]);
});

it("cancels the call when the loop over a stream is left, and refuses calls once closed", async () => {
  const script = new ScriptedService();
  const client = new AggregatorClient({ address: await script.listen() });
  cleanups.push(() => script.stop());
  for await (const response of client.streamResults({})) {
    expect(response.event.case).toBe("opened");
    break;
  }
  await eventually(() => expect(script.streams[0]?.cancelled).toBe(true));
  const controller = new AbortController();
  const aborted = (async () => {
    for await (const response of client.streamResults({}, controller.signal))
      if (response.event.case === "opened") controller.abort();
  })();
  await expect(aborted).rejects.toMatchObject({ kind: "cancelled" });
  await expect(client.getServerInfo({}, { timeoutMs: 20 })).rejects.toMatchObject({
    kind: "deadline_exceeded",
  });
  client.close();
  client.close();
  await expect(client.getServerInfo()).rejects.toMatchObject({ kind: "cancelled" });
});

it.each([Infinity, 30 * 24 * 3_600_000])(
  "waits for what is in flight when it closes with %d ms to drain",
  async (drainMs) => {
    const { script, aggregator } = await start();
    aggregator.submitOrSkip(5, GATES, snapshot);
    await eventually(() => expect(script.submits).toHaveLength(1));
    const closing = aggregator.close({ drainMs });
    script.proved();
    await takeOne(aggregator);
    script.summary();
    await closing;
    expect(script.cancels).toEqual([]);
  },
);

it("refuses a deadline that is no number, and takes one without an end", async () => {
  const errors: Error[] = [];
  const { script, aggregator } = await start({ onError: (error) => errors.push(error) });
  const submit = (deadlineMs: number) =>
    aggregator.submitOrSkip(5, GATES, snapshot, { deadlineMs });
  expect(submit(NaN)).toEqual({ skipped: "invalid" });
  expect(errors.map(({ message }) => message)).toEqual(["deadlineMs is NaN: give milliseconds"]);
  expect(submit(Infinity)).toMatchObject({ submitted: true });
  await eventually(() => expect(script.submits).toHaveLength(1));
  expect(script.submits[0]?.deadlineMs).toBeLessThanOrEqual(7000);
});

it("is loud at once about a refusal that every snapshot would get, with the service's words", async () => {
  const warnings: Error[] = [];
  const hear = (warning: Error) => warnings.push(warning);
  process.on("warning", hear);
  cleanups.push(() => process.off("warning", hear));
  const { script, aggregator, metric } = await start();
  const text =
    "snapshot.keys[0].public_key: has 48 bytes, and none of the 4 public keys has the 32";
  script.refuseWith = { code: status.INVALID_ARGUMENT, details: text };
  for (const skips of [1, 2]) {
    await submitOnceFree(aggregator);
    await eventually(async () =>
      expect(await metric("lean_aggregator_skipped_total", { reason: "invalid" })).toBe(skips),
    );
  }
  await eventually(() => expect(warnings).toHaveLength(1));
  expect(warnings[0]).toMatchObject({
    name: "LeanAggregatorWarning",
    message: expect.stringContaining(text),
  });
  expect(aggregator.takeResults(5)).toEqual([]);
});

function framed(event: MessageInitShape<typeof StreamResultsResponseSchema>["event"]): Buffer {
  const response = create(StreamResultsResponseSchema, event ? { event } : {});
  const message = toBinary(StreamResultsResponseSchema, response);
  return Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
}

/** A service that keeps a stream open, and reads nothing of a submission. */
async function startUnread() {
  const submissions: http2.ServerHttp2Stream[] = [];
  const cancels: string[] = [];
  const server = http2.createServer();
  server.on("stream", (stream, { ":path": path = "" }) => {
    stream.on("error", () => undefined);
    if (path.endsWith("/SubmitSnapshot")) return void submissions.push(stream);
    if (path.endsWith("/CancelSession")) cancels.push(path);
    stream.respond({ "content-type": "application/grpc" });
    if (!path.endsWith("/StreamResults")) return;
    const status = { state: ServiceState.READY };
    stream.write(framed({ case: "opened", value: { serviceId: "s1", run: "r1", status } }));
    const beats = setInterval(() => stream.write(framed({ case: "heartbeat", value: {} })), 200);
    stream.on("close", () => clearInterval(beats));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { endpoint: `127.0.0.1:${port}`, submissions, cancels };
}

it("ends the call of a submission that is cancelled, and no other's", async () => {
  const { endpoint, submissions, cancels } = await startUnread();
  const timeToFence = () => 60_000;
  const aggregator = new TickAggregator({ endpoints: endpoint, nodeId: "test", timeToFence });
  cleanups.push(() => aggregator.close({ drainMs: 0 }));
  const large = () => ({ ...snapshot(2), keys: [{ publicKey: new Uint8Array(1e6) }] });
  const answer = aggregator.submitOrSkip(5, GATES, large, { deadlineMs: 60_000 });
  const requestId = "submitted" in answer ? answer.requestId : "";
  await eventually(() => expect(submissions).toHaveLength(1));
  aggregator.cancelWhere(({ groupIndex }) => groupIndex === 0);
  await eventually(() => expect(cancels).toHaveLength(1));
  expect(submissions[0]?.aborted, "a group of it is wanted").toBe(false);
  aggregator.cancel(requestId);
  await eventually(() => expect(submissions[0]?.aborted).toBe(true));
});
