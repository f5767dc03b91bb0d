/** What a policy does to a served call: on both bare, before its body, and for as long as it lasts. */
import { writeFileSync } from "node:fs";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { parsePolicy } from "../../../server/access/policy-file.js";
import { tokenHash } from "../../../server/access/token.js";
import type { Service } from "../../../server/service.js";
import { HeldClock, startBareServer } from "../../../tools/harness/wire/bare-server.js";
import { freshPath } from "../../helpers/command-line.js";
import { Gate, inventedGroup, requestIdOf } from "../../../tools/harness/wire/contract.js";
import { frame, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import { startTestService } from "../../helpers/start-service.js";
import { snapshot } from "../../../tools/harness/vectors.js";

const tokens = { one: "lagg_one", two: "lagg_two", three: "lagg_three", operator: "lagg_operator" };
const principal = (name: keyof typeof tokens, more: object = {}) => ({
  name,
  tokens: [{ sha256: tokenHash(tokens[name]).toString("hex") }],
  nodes: [`${name}-*`],
  calls: ["*"],
  priorities: ["*"],
  ...more,
});
const policyOf = (...principals: object[]) => JSON.stringify({ principals });
const policyPath = freshPath("policy.json");

const gate = new Gate();
let service: Service;
beforeAll(async () => {
  const operator = {
    ...principal("operator"),
    calls: [],
    nodes: [],
    operatorCalls: ["ListProvers"],
  };
  const quota = { sessionsInFlight: 1, streams: 1 };
  const text = policyOf(
    principal("one", { quota }),
    principal("two"),
    principal("three"),
    operator,
  );
  writeFileSync(policyPath, text);
  service = await startTestService(gate.startProver, { policy: policyPath });
});
afterAll(() => service.close());
afterEach(() => gate.open());

const protocols = ["gRPC", "Connect"] as const;
type Protocol = (typeof protocols)[number];

function clientOf(protocol: Protocol, name: keyof typeof tokens) {
  const show: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${tokens[name]}`);
    return next(request);
  };
  const more = { interceptors: [show] };
  const options = { ...more, baseUrl: `http://${service.addresses[0]}` };
  const transport =
    protocol === "Connect"
      ? createConnectTransport({ ...options, httpVersion: "2" })
      : createGrpcTransport(options);
  return createClient(AggregatorService, transport);
}

const request = (nodeId: string, group = 0) => ({
  node: { nodeId, nodeEpoch: 1n },
  snapshot: snapshot(100, [inventedGroup(group)]),
  deadlineMs: 5000,
});
const errorOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (thrown: unknown) => {
      const { code, rawMessage } = ConnectError.from(thrown);
      return { code, message: rawMessage };
    },
  );
const valueOf = async (
  metric: { get(): Promise<{ values: { labels: object; value: number }[] }> },
  label: string,
) =>
  (await metric.get()).values.find(({ labels }) => Object.values(labels).includes(label))?.value ??
  NaN;

describe.each(protocols)("over %s", (protocol) => {
  test("another's session does not exist, and another's node is denied", async () => {
    const [mine, other] = [clientOf(protocol, "two"), clientOf(protocol, "three")];
    const node = { nodeId: `two-${protocol.length}` };
    const requestId = requestIdOf(await mine.submitSnapshot(request(node.nodeId)));
    const own = { nodeId: "three-1" };
    const notFound = { code: Code.NotFound };
    expect(await errorOf(mine.getSession({ node, requestId }))).toBeUndefined();
    for (const call of ["getSession", "cancelSession"] as const) {
      expect(await errorOf(other[call]({ node: own, requestId }))).toMatchObject(notFound);
      const denied = await errorOf(other[call]({ node, requestId }));
      expect(denied).toEqual({
        code: Code.PermissionDenied,
        message: `principal three may not speak for node ${node.nodeId}`,
      });
      // A node that was never named is denied in the same words.
      const unknown = await errorOf(other[call]({ node: { nodeId: "two-0" }, requestId: "none" }));
      expect(unknown?.message).toBe(denied?.message.replace(node.nodeId, "two-0"));
    }
    const events = [];
    for await (const { event } of other.streamResults({ node: own, noFollow: true }))
      events.push(event);
    expect(events.map((event) => event.case)).toEqual(["opened"]);
  });

  test("a snapshot over a quota is skipped with the quota named, and others go on", async () => {
    gate.shut();
    const before = await valueOf(service.metrics.overQuota, "sessionsInFlight");
    const [one, two] = [clientOf(protocol, "one"), clientOf(protocol, "two")];
    // Work that no other test has, or it would end with theirs.
    requestIdOf(await one.submitSnapshot(request("one-a", protocol.length)));
    expect((await one.submitSnapshot(request("one-b"))).result).toMatchObject({
      case: "skipped",
      value: {
        reason: 4,
        detail: "quota sessionsInFlight of principal one is 1, and 1 sessions are in flight",
      },
    });
    expect(await valueOf(service.metrics.overQuota, "sessionsInFlight")).toBe(before + 1);
    requestIdOf(await two.submitSnapshot(request(`two-q${protocol.length}`, protocol.length)));
  });

  test("a stream over its principal's quota is refused until the first has ended", async () => {
    const one = clientOf(protocol, "one");
    const first = new AbortController();
    const open = one.streamResults({ node: { nodeId: "one-a" } }, { signal: first.signal });
    const reader = open[Symbol.asyncIterator]();
    await reader.next();
    const second = one.streamResults({ node: { nodeId: "one-b" }, noFollow: true });
    expect(await errorOf(second[Symbol.asyncIterator]().next())).toEqual({
      code: Code.ResourceExhausted,
      message: "quota streams of principal one is 1, and 1 are open",
    });
    first.abort();
    await expect(reader.next()).rejects.toThrow();
  });

  test("a caller that may only read names no epoch, which would end what others submitted", async () => {
    const calls = ["StreamResults", "GetSession"];
    const path = freshPath("policy.json");
    const reading = principal("one", { calls, nodes: ["two-*"] });
    writeFileSync(path, policyOf(principal("two"), reading));
    const its = await startTestService(gate.startProver, { policy: path });
    try {
      const baseUrl = `http://${its.addresses[0]}`;
      const client = createClient(AggregatorService, createGrpcTransport({ baseUrl }));
      const as = (name: keyof typeof tokens) => ({
        headers: { authorization: `Bearer ${tokens[name]}` },
      });
      gate.shut();
      const requestId = requestIdOf(await client.submitSnapshot(request("two-1"), as("two")));
      const read = async (nodeEpoch: bigint) => {
        const node = { nodeId: "two-1", nodeEpoch };
        const stream = client.streamResults({ node, noFollow: true }, as("one"));
        for await (const { event } of stream) expect(event.case).toBe("opened");
      };
      const message =
        "node.node_epoch: principal one may not call SubmitSnapshot; " +
        "leave it out to read the results of every run";
      expect(await errorOf(read(2n))).toEqual({ code: Code.PermissionDenied, message });
      expect(await errorOf(read(0n))).toBeUndefined();
      const node = { nodeId: "two-1", nodeEpoch: 1n };
      const { session } = await client.getSession({ node, requestId }, as("two"));
      expect(session?.outcomes).toEqual([]);
    } finally {
      gate.open();
      await its.close();
    }
  });

  test("a stream and a wait end when the policy no longer allows them", async () => {
    const path = freshPath("policy.json");
    writeFileSync(path, policyOf(principal("two")));
    const its = await startTestService(gate.startProver, { policy: path });
    try {
      const baseUrl = `http://${its.addresses[0]}`;
      const headers = { authorization: `Bearer ${tokens.two}` };
      const client = createClient(AggregatorService, createGrpcTransport({ baseUrl }));
      const node = { nodeId: "two-1" };
      gate.shut();
      const submitted = await client.submitSnapshot(request(node.nodeId), { headers });
      const wait = { node, requestId: requestIdOf(submitted), waitMs: 60_000 };
      const waiting = errorOf(client.getSession(wait, { headers }));
      const read = async () => {
        for await (const { event } of client.streamResults({ node }, { headers })) {
          if (event.case === "opened") writeFileSync(path, policyOf(principal("three")));
        }
      };
      const denied = { code: Code.Unauthenticated, message: "the token is not known" };
      expect(await errorOf(read())).toEqual(denied);
      expect(await waiting).toEqual(denied);
    } finally {
      gate.open();
      await its.close();
    }
  });
});

/** Submits two snapshots one after the other, as one who has this quota; why the second is skipped. */
async function secondSkip(quota: object): Promise<string> {
  const path = freshPath("policy.json");
  writeFileSync(path, policyOf(principal("three", { quota })));
  const its = await startTestService(gate.startProver, { policy: path });
  try {
    const baseUrl = `http://${its.addresses[0]}`;
    const headers = { authorization: `Bearer ${tokens.three}` };
    const client = createClient(AggregatorService, createGrpcTransport({ baseUrl }));
    const node = { nodeId: "three-a" };
    const first = await client.submitSnapshot(request(node.nodeId), { headers });
    if (first.result.case === "skipped") return first.result.value.detail;
    await client.getSession({ node, requestId: requestIdOf(first), waitMs: 5000 }, { headers });
    const { result } = await client.submitSnapshot(request("three-b"), { headers });
    return result.case === "skipped" ? result.value.detail : "";
  } finally {
    await its.close();
  }
}

test("what a principal's proofs took, and what they hold until their fence, counts", async () => {
  expect(await secondSkip({ proverSecondsPerMinute: 1e-6 })).toMatch(
    /^quota proverSecondsPerMinute of principal three is 0\.000001, and 0\.\d s were used$/,
  );
  const alone = /^quota heldBytes of principal three is 1, and 0 bytes are held; .* needs (\d+)$/;
  const [, heldBytes = ""] = alone.exec(await secondSkip({ heldBytes: 1 })) ?? [];
  expect(await secondSkip({ heldBytes: Number(heldBytes) })).toMatch(/and [1-9]\d* bytes are held/);
});

describe("frames", () => {
  test.each([
    ["nobody", {}, "SubmitSnapshot", 16],
    ["an unknown token", { authorization: "Bearer lagg_bad" }, "SubmitSnapshot", 16],
    ["a call that is not allowed", { authorization: `Bearer ${tokens.one}` }, "SubmitSnapshot", 7],
    ["a call that is allowed", { authorization: `Bearer ${tokens.one}` }, "StreamResults", 8],
  ])("%s is judged before memory is reserved or a byte is read", async (_, headers, call, code) => {
    const policy = parsePolicy(policyOf(principal("one", { calls: ["StreamResults"] })));
    // No byte fits, so only a call that is admitted is refused for memory.
    const bare = await startBareServer({ bytesMax: 0, policy });
    const client = new RawClient(bare.address);
    try {
      const { stream, status } = client.call(call, headers);
      stream.resume();
      expect((await status).code).toBe(code);
    } finally {
      client.close();
      await bare.close();
    }
  });
});

describe("calls", () => {
  test("over their principal's quota are refused before a byte is read, and others' are not", async () => {
    const clock = new HeldClock();
    const quota = { callsPerMinute: 2 };
    const policy = parsePolicy(policyOf(principal("one", { quota }), principal("two")));
    const bare = await startBareServer({ policy, clock });
    const client = new RawClient(bare.address);
    const call = (name: keyof typeof tokens) =>
      client.call("GetServerInfo", { authorization: `Bearer ${tokens[name]}` });
    const served = async (name: keyof typeof tokens) =>
      expect((await call(name).end(frame(new Uint8Array()))).code).toBe(0);
    try {
      await served("one");
      await served("one");
      // Of this one there are headers alone.
      const { stream, status } = call("one");
      stream.resume();
      expect(await status).toEqual({
        code: 8,
        message: expect.stringMatching(
          /^quota callsPerMinute of principal one is 2, and the next is free in \d+ ms$/,
        ),
      });
      expect(await valueOf(bare.metrics.overQuota, "callsPerMinute")).toBe(1);
      await served("two");
      clock.skip(30_000);
      await served("one");
    } finally {
      client.close();
      await bare.close();
    }
  });
});

test("the metrics' page counts as a call", async () => {
  const quota = { callsPerMinute: 1 };
  const bare = await startBareServer({
    policy: parsePolicy(policyOf(principal("one", { quota }))),
  });
  const headers = { authorization: `Bearer ${tokens.one}` };
  const page = () => fetch(`http://${bare.address}/metrics`, { headers });
  try {
    expect((await page()).status).toBe(200);
    const refused = await page();
    expect(refused.status).toBe(429);
    expect(await refused.text()).toMatch(/^quota callsPerMinute of principal one is 1/);
  } finally {
    await bare.close();
  }
});

test("the operator's calls are named apart: a node that may call everything may none of them", async () => {
  const ask = (token?: string) =>
    callAdmin(
      service.operatorAddress ?? "",
      "listProvers",
      {},
      token === undefined ? {} : { token },
    );
  expect((await ask(tokens.operator)).devices).toHaveLength(1);
  const unauthorized = (text: string) =>
    expect.objectContaining({ kind: "unauthorized", message: expect.stringContaining(text) });
  await expect(ask(tokens.two)).rejects.toEqual(
    unauthorized("principal two may not call ListProvers"),
  );
  await expect(ask()).rejects.toEqual(unauthorized("no token was sent"));
  const drain = callAdmin(
    service.operatorAddress ?? "",
    "drainDevice",
    { deviceId: "cpu", drained: true },
    { token: tokens.operator },
  );
  await expect(drain).rejects.toEqual(unauthorized("may not call DrainDevice"));
});
