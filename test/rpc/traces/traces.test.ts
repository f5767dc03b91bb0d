/** The traces of a whole service, as a collector gets them. */
import { toJson } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test } from "vitest";
import { TickAggregator } from "../../../client/index.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  Span_SpanKind as SpanKind,
  Status_StatusCode as StatusCode,
} from "../../../proto/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { keyTable } from "../../../tools/harness/vectors.js";
import { inventedData, inventedRaw } from "../../../tools/harness/wire/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { GatedProver } from "../schedule/gated-prover.js";
import type { TestCollector } from "./collector.js";
import { spansIn, startCollector, valuesOf } from "./collector.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parentSpanId = "00f067aa0ba902b7";
const traceparent = `00-${traceId}-${parentSpanId}-01`;
const node = { nodeId: "node-1", nodeEpoch: 1n };

let collector: TestCollector;
let prover: GatedProver;
let service: Service;
let client: AggregatorClient;
let ended: AbortController;

beforeEach(async () => {
  collector = await startCollector();
  prover = new GatedProver();
  service = await startTestService(prover.start, { otlp: collector.url, drainMs: 1 });
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  ended = new AbortController();
});
afterEach(async () => {
  ended.abort();
  client.close();
  await service.close();
  await collector.close();
});

const requestOf = (requestId: string, of: object = {}) =>
  create(SubmitSnapshotRequestSchema, {
    ...{ node, requestId, snapshot: fakeSnapshot(1), deadlineMs: 50_000, fenceMs: 60_000 },
    ...of,
  });

/** Submits in JSON, with this header. */
async function post(requestId: string, header: string): Promise<void> {
  const url = `http://${service.addresses[0] ?? ""}/lean.aggregator.v1.AggregatorService/SubmitSnapshot`;
  const body = JSON.stringify(toJson(SubmitSnapshotRequestSchema, requestOf(requestId)));
  const headers = { "content-type": "application/json", traceparent: header };
  const response = await fetch(url, { method: "POST", headers, body });
  expect(await response.json()).toHaveProperty("accepted");
}

/** Reads the results until the summary. */
async function readResults(): Promise<void> {
  for await (const { event } of client.streamResults({ node, retained: true }, ended.signal)) {
    if (event.case === "summary") return;
  }
}

const spanNamed = (name: string) => {
  const found = spansIn(collector).find((span) => span.name === name);
  if (found === undefined) throw new Error(`no span ${name}`);
  return found;
};

test("a snapshot sent in JSON is a trace of its caller's, from its receipt to its delivery", async () => {
  const beforeMs = Date.now() - 1;
  await post("r1", traceparent);
  const reading = readResults();
  await prover.untilProofs(1);
  prover.endProofs();
  await reading;
  await expect.poll(() => spansIn(collector).map(({ name }) => name)).toContain("deliver");
  const spans = spansIn(collector);
  expect(spans.map(({ name }) => name).sort()).toEqual([
    ...["accept", "deliver", "group", "prove", "snapshot"],
    ...["verify_inputs", "verify_proof", "wait"],
  ]);
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  const snapshot = spanNamed("snapshot");
  expect(snapshot).toMatchObject({ parentSpanId, kind: SpanKind.SERVER, flags: 0x301 });
  expect(snapshot.attributes).toMatchObject({ "lean.node": "node-1", "lean.request": "r1" });
  const group = spanNamed("group");
  expect(group).toMatchObject({ parentSpanId: snapshot.spanId, flags: 0x101 });
  expect(group.status?.code).toBe(StatusCode.OK);
  const steps = ["wait", "verify_inputs", "prove", "verify_proof", "deliver"].map(spanNamed);
  let atMs = spanNamed("accept").endMs;
  for (const step of steps) {
    expect(step.parentSpanId).toBe(group.spanId);
    // proveMs is in whole milliseconds.
    expect(Math.abs(step.startMs - atMs)).toBeLessThan(1.5);
    expect(step.endMs).toBeGreaterThanOrEqual(step.startMs);
    atMs = step.endMs;
  }
  expect(snapshot.startMs).toBeGreaterThanOrEqual(beforeMs);
  expect(atMs).toBeLessThanOrEqual(Date.now() + 1);
  const [first] = collector.requests;
  expect(first).toMatchObject({ path: "/v1/traces" });
  expect(first?.headers["content-type"]).toBe("application/x-protobuf");
  const resource = first?.message.resourceSpans[0]?.resource;
  expect(valuesOf(resource?.attributes ?? [])).toMatchObject({
    "service.name": "lean-aggregator",
    "service.instance.id": "test-service",
  });
});

test("the adapter's snapshots, over gRPC, are in the trace of the node's span", async () => {
  const named = { traceId, spanId: parentSpanId, traceFlags: 1 };
  const span = { spanContext: () => named, setAttribute: () => undefined, end: () => undefined };
  const adapter = new TickAggregator({
    ...{ endpoints: service.addresses, nodeId: "node-2", timeToFence: () => 60_000 },
    tracer: { startSpan: () => span },
  });
  try {
    const gates = { isAggregator: true, hasState: true };
    const submit = () => adapter.submitOrSkip(1, gates, () => fakeSnapshot(1));
    await expect.poll(submit).toHaveProperty("submitted");
    await prover.untilProofs(1);
  } finally {
    await adapter.close({ drainMs: 0 });
  }
  await service.close();
  expect(spanNamed("snapshot")).toMatchObject({ traceId, parentSpanId, flags: 0x301 });
});

test("a merge of the adapter is in the trace that the node names", async () => {
  const adapter = new TickAggregator({
    ...{ endpoints: service.addresses, nodeId: "node-2", timeToFence: () => 60_000 },
  });
  try {
    const components = [1, 2].map((n) => ({
      data: inventedData(n),
      signatures: [inventedRaw(n, n)],
    }));
    const head = { root: new Uint8Array(32).fill(1), slot: 99n };
    const merge = () => ({ head, justified: head, keys: keyTable(4), components });
    const submit = () => adapter.mergeOrSkip(100, { hasState: true }, merge, { traceparent });
    await expect.poll(submit).toHaveProperty("submitted");
    await prover.untilProofs(1);
  } finally {
    await adapter.close({ drainMs: 0 });
  }
  await service.close();
  expect(spanNamed("snapshot")).toMatchObject({ traceId, parentSpanId });
});

test("a garbled trace context is ignored, and the snapshot accepted", async () => {
  await post("r1", "00-xyz");
  await service.close();
  const snapshot = spanNamed("snapshot");
  expect(snapshot.parentSpanId).toBe("");
  const session = String(snapshot.attributes["lean.session"]);
  expect(snapshot.traceId.startsWith(session)).toBe(true);
});

test("what a drain ends is exported before the service has ended", async () => {
  await post("r1", traceparent);
  await prover.untilProofs(1);
  await service.close();
  const group = spanNamed("group");
  expect(group.status).toMatchObject({ code: StatusCode.ERROR, message: "stopped: draining" });
});

test("a collector that takes spans with a long answer gets each of them once", async () => {
  collector.answer = (response) => void response.writeHead(200).end(Buffer.alloc(100 * 1024));
  await post("r1", traceparent);
  await expect.poll(() => collector.requests.length).toBeGreaterThan(0);
  await service.close();
  const ids = spansIn(collector).map(({ spanId }) => spanId);
  expect(ids.length).toBeGreaterThan(1);
  expect(new Set(ids).size).toBe(ids.length);
});

test("no span has a key, a signature, a proof or a root", async () => {
  const secrets: Uint8Array[] = [];
  const snapshot = fakeSnapshot(1);
  for (const { rawSignatures = [] } of snapshot.groups ?? []) {
    for (const { signature } of rawSignatures) if (signature) secrets.push(signature);
  }
  expect(secrets.length).toBeGreaterThan(0);
  await post("r1", traceparent);
  await service.close();
  const text = JSON.stringify(spansIn(collector), (_key, value: unknown) =>
    typeof value === "bigint" ? String(value) : value,
  );
  for (const secret of secrets) {
    const short = secret.subarray(0, 12);
    expect(text).not.toContain(Buffer.from(short).toString("hex"));
    expect(text).not.toContain(Buffer.from(short).toString("base64"));
  }
});
