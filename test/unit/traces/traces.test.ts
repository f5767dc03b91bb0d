/** From activities to spans: parents, times, attributes and status. */
import { expect, test } from "vitest";
import {
  DeviceState,
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ActivityRecord } from "../../../server/activity.js";
import { limits } from "../../../server/limits.js";
import type { Span } from "../../../server/traces/span.js";
import { Traces } from "../../../server/traces/traces.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = "00f067aa0ba902b7";
const traceparent = `00-${traceId}-${parent}-01`;
const sessionId = "0123456789abcdef";
/** Unix time less the monotonic clock. */
const OFFSET_MS = 1_000_000;

type Event = NonNullable<ActivityRecord["event"]>;

function traced(ratio = 1) {
  const spans: Span[] = [];
  let ids = 0;
  let dropped = 0;
  const traces = new Traces(
    { ratio },
    {
      offsetMs: () => OFFSET_MS,
      random: (bytes) => Buffer.alloc(bytes, ++ids),
      ended: (span) => void spans.push(span),
      dropped: () => dropped++,
    },
  );
  const take = (atMs: number, event: Event) => traces.take({ atMs, event });
  return { traces, spans, take, dropped: () => dropped };
}

const accepted = (of: object = {}): Event => ({
  case: "accepted",
  value: {
    ...{ sessionId, requestId: "r1", nodeId: "n1", slot: 9n, priority: 2 },
    ...{ receivedAtMs: 100, deadlineAtMs: 850, fenceAtMs: 6500, traceparent },
    groups: [{ votes: 3, rawSignatures: 3, children: 0 }],
    ...of,
  },
});
const started = (attempt: number, of: object = {}): Event => ({
  case: "started",
  value: { sessionId, groupIndex: 0, attempt, deviceId: "cpu", cores: 4, ...of },
});
const proving = (attempt: number, rawSignatures?: number, deviceId = "cpu"): Event => ({
  case: "lane",
  value: {
    ...{ deviceId, state: DeviceState.PROVING, attempt },
    ...(rawSignatures !== undefined && { proof: { rawSignatures, children: 0 } }),
  },
});
const idle = (deviceId = "cpu"): Event => ({
  case: "lane",
  value: { deviceId, state: DeviceState.IDLE },
});
const ended = (of: object = {}): Event => ({
  case: "ended",
  value: {
    ...{ sessionId, groupIndex: 0, status: OutcomeStatus.PROVED, proveMs: 200 },
    votes: { proved: [2], badSignature: 1 },
    ...of,
  },
});
const delivered: Event = { case: "delivered", value: { sessionId, groupIndex: 0 } };

/** Name, start and end in ms after the receipt, in the order of the starts. */
const timesOf = (spans: readonly Span[]) =>
  spans
    .map(({ name, startUnixMs, endUnixMs }) => [
      name,
      startUnixMs - OFFSET_MS - 100,
      endUnixMs - OFFSET_MS - 100,
    ])
    .sort((a, b) => Number(a[1]) - Number(b[1]));

test("a proved group has a span for each step, and all are of the caller's trace", () => {
  const { take, spans } = traced();
  take(110, accepted());
  take(150, started(7));
  take(150, proving(7));
  take(180, proving(7, 2));
  take(400, ended());
  take(401, idle());
  take(405, delivered);
  expect(timesOf(spans)).toEqual([
    ["accept", 0, 10],
    ["snapshot", 0, 300],
    ["wait", 10, 50],
    ["group", 10, 300],
    ["verify_inputs", 50, 80],
    ["prove", 80, 280],
    ["verify_proof", 280, 300],
    ["deliver", 300, 305],
  ]);
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  const byName = new Map(spans.map((span) => [span.name, span]));
  const parentOf = (name: Span["name"]) => byName.get(name)?.parentSpanId;
  expect(parentOf("snapshot")).toBe(parent);
  expect(byName.get("snapshot")?.isParentRemote).toBe(true);
  for (const name of ["accept", "group"] as const) {
    expect(parentOf(name)).toBe(byName.get("snapshot")?.spanId);
  }
  for (const name of ["wait", "verify_inputs", "prove", "verify_proof", "deliver"] as const) {
    expect(parentOf(name)).toBe(byName.get("group")?.spanId);
    expect(byName.get(name)?.isParentRemote).toBe(false);
  }
  expect(byName.get("prove")).toMatchObject({
    status: "ok",
    attributes: { "lean.device": "cpu", "lean.cores": 4, "lean.raw_signatures": 2 },
  });
  expect(byName.get("group")).toMatchObject({
    status: "ok",
    attributes: {
      "lean.status": "proved",
      "lean.votes_proved": 2,
      "lean.votes_bad_signature": 1,
    },
  });
  expect(byName.get("snapshot")?.attributes).toMatchObject({
    ...{ "lean.node": "n1", "lean.slot": 9, "lean.request": "r1", "lean.session": sessionId },
    ...{ "lean.duty": "aggregation", "lean.deadline_ms": 750, "lean.fence_ms": 6400 },
  });
});

test("without a caller's context the trace id begins with the session's id", () => {
  const { take, spans } = traced();
  take(110, accepted({ traceparent: "" }));
  expect(spans[0]?.traceId).toMatch(new RegExp(`^${sessionId}[0-9a-f]{16}$`));
});

test("a caller's context that is not sampled, and a ratio of 0, make no span", () => {
  const { take, spans } = traced(0);
  take(110, accepted({ traceparent: traceparent.replace(/1$/, "0") }));
  take(110, accepted({ sessionId: "b".repeat(16), traceparent: "" }));
  take(400, ended());
  expect(spans).toEqual([]);
});

test("a ratio keeps about that share of the traces", () => {
  const { take, spans } = traced(0.25);
  for (let n = 0; n < 400; n++) {
    const session = n.toString(16).padStart(16, "0");
    take(110, accepted({ sessionId: session, traceparent: "" }));
  }
  expect(spans.length).toBeGreaterThan(60);
  expect(spans.length).toBeLessThan(140);
});

test("a group that waits again after its prover died has the failed attempt and a second wait", () => {
  const { take, spans } = traced();
  take(110, accepted());
  take(150, started(7));
  take(180, proving(7, 3));
  take(300, { case: "lane", value: { deviceId: "cpu", state: DeviceState.STARTING } });
  take(500, started(8, { deviceId: "gpu" }));
  take(520, proving(8, 3, "gpu"));
  take(900, ended());
  const lost = spans.find(({ name, status }) => name === "prove" && typeof status === "object");
  expect(lost).toMatchObject({ status: { error: "lost" }, attributes: { "lean.attempt": 7 } });
  expect(timesOf(spans).filter(([name]) => name === "wait")).toEqual([
    ["wait", 10, 50],
    ["wait", 200, 400],
  ]);
});

test("each job of a tree has its own spans, on its device", () => {
  const { take, spans } = traced();
  take(110, accepted());
  take(150, started(7));
  take(150, { case: "job", value: { attempt: 7, job: 7, deviceId: "cpu", cores: 4 } });
  take(150, { case: "job", value: { attempt: 7, job: 8, deviceId: "far" } });
  take(160, proving(7, 2));
  take(170, proving(8, 1, "far"));
  take(300, idle("cpu"));
  take(310, { case: "job", value: { attempt: 7, job: 9, deviceId: "cpu", cores: 4 } });
  take(320, proving(9, 0));
  take(330, idle("far"));
  take(600, ended({ proveMs: 500 }));
  const proofs = spans.filter(({ name }) => name === "prove");
  expect(timesOf(proofs)).toEqual([
    ["prove", 60, 200],
    ["prove", 70, 230],
    ["prove", 220, 500],
  ]);
  const where = proofs.map(({ attributes }) => [attributes["lean.job"], attributes["lean.device"]]);
  expect(where).toEqual([
    [7, "cpu"],
    [8, "far"],
    [9, "cpu"],
  ]);
  expect(proofs[1]?.attributes).not.toHaveProperty("lean.cores");
});

test("snapshots that share an attempt have it in their traces from when they joined", () => {
  const { take, spans } = traced();
  const other = "fedcba9876543210";
  take(110, accepted({ traceparent: "" }));
  take(150, started(7));
  take(180, proving(7, 3));
  take(200, accepted({ sessionId: other, receivedAtMs: 190, traceparent }));
  take(210, started(7, { sessionId: other }));
  take(400, ended());
  take(400, ended({ sessionId: other }));
  const proofs = spans.filter(({ name }) => name === "prove");
  expect(proofs).toHaveLength(2);
  expect(timesOf(proofs)).toEqual([
    ["prove", 80, 280],
    ["prove", 110, 300],
  ]);
});

test.each([
  ["not_started: deadline", OutcomeStatus.NOT_STARTED, OutcomeReason.DEADLINE],
  ["failed: prover_died", OutcomeStatus.FAILED, OutcomeReason.PROVER_DIED],
  ["rejected", OutcomeStatus.REJECTED, OutcomeReason.UNSPECIFIED],
  ["unset", OutcomeStatus.NOT_STARTED, OutcomeReason.SUPERSEDED],
  ["unset", OutcomeStatus.STOPPED, OutcomeReason.CANCELLED],
])("a group that ended with %s says so", (text, status, reason) => {
  const { take, spans } = traced();
  take(110, accepted());
  take(850, ended({ status, reason, proveMs: 0, votes: { notStarted: 3 } }));
  const group = spans.find(({ name }) => name === "group");
  expect(group?.status).toEqual(text === "unset" ? text : { error: text });
  expect(group?.attributes).toMatchObject({ "lean.votes_not_started": 3, "lean.votes_proved": 0 });
});

test("a skipped snapshot is one span with its reason", () => {
  const { take, spans } = traced();
  const value = { nodeId: "n1", slot: 9n, requestId: "r2", receivedAtMs: 100, traceparent };
  const why = { reason: SkipReason.PREDICTED_MISS, detail: "no time" };
  take(103, { case: "skipped", value: { ...value, ...why } });
  expect(timesOf(spans)).toEqual([["snapshot", 0, 3]]);
  expect(spans[0]).toMatchObject({
    ...{ traceId, parentSpanId: parent, status: "unset" },
    attributes: { "lean.skip_reason": "predicted_miss", "lean.request": "r2" },
  });
});

test("a result that nobody took by the fence says so, and its trace is forgotten", () => {
  const { take, traces, spans } = traced();
  take(110, accepted());
  take(400, ended({ status: OutcomeStatus.NOT_STARTED, proveMs: 0 }));
  traces.expire(6500);
  expect(spans.some(({ name }) => name === "deliver")).toBe(false);
  traces.expire(8500);
  const deliver = spans.filter(({ name }) => name === "deliver");
  expect(timesOf(deliver)).toEqual([["deliver", 300, 6400]]);
  expect(deliver[0]?.status).toEqual({ error: "not taken by the fence" });
  take(9000, delivered);
  expect(spans.filter(({ name }) => name === "deliver")).toHaveLength(1);
});

test("a trace beyond those that may be open is not made, and counted", () => {
  const { take, dropped } = traced();
  for (let n = 0; n < limits.tracesOpenMax + 2; n++) {
    take(110, accepted({ sessionId: n.toString(16).padStart(16, "0") }));
  }
  expect(dropped()).toBe(2);
});

test("activities that come without those before them make no span and no error", () => {
  const { take, spans } = traced();
  take(1, started(7));
  take(2, proving(7, 3));
  take(3, ended());
  take(4, delivered);
  take(5, { case: "job", value: { attempt: 7, job: 8 } });
  take(6, { case: "lane", value: { deviceId: "cpu" } });
  expect(spans).toEqual([]);
});
