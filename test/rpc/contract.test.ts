/** One contract over both stacks: grpc-js on the data plane, Connect/JSON on the HTTP edge. */
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  AggregatorService,
  DeadlineSource,
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
  SubmitSnapshotRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type {
  Outcome,
  SubmitSnapshotResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature, startFakeProver } from "../../server/prover/fake.js";
import type { Service } from "../../server/service.js";
import { startTestService } from "../helpers/start-service.js";
import { dataOf, groupsOfSlot, keyTable, publicKey, rootOf, snapshot } from "../helpers/vectors.js";
import type { GroupInit } from "../helpers/vectors.js";

/** Proofs end when the test says so. */
const gate = { isOpen: true, waiting: [] as (() => void)[] };
const sleep = () =>
  gate.isOpen ? Promise.resolve() : new Promise<void>((resolve) => gate.waiting.push(resolve));
function open() {
  gate.isOpen = true;
  for (const resolve of gate.waiting.splice(0)) resolve();
}

let service: Service;
beforeAll(async () => {
  service = await startTestService(() => startFakeProver({ proveMs: () => 1, sleep }));
});
afterAll(() => service.close());

const [group0 = 0] = groupsOfSlot(100);
const fakeRaw = (group: number, v: number, slot = 100) => ({
  validatorIndex: v,
  signature: fakeSignature(publicKey(v), rootOf(group), slot),
});
const goodGroup = (): GroupInit => ({
  data: dataOf(group0),
  rawSignatures: [fakeRaw(group0, 0), fakeRaw(group0, 1)],
});

function sessionIdOf({ result }: SubmitSnapshotResponse): string {
  if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
  return result.value.sessionId;
}

const transports = {
  grpc: () => createGrpcTransport({ baseUrl: `http://${service.grpcAddresses[0]}` }),
  connect: () =>
    createConnectTransport({ baseUrl: `http://${service.httpAddress}`, httpVersion: "1.1" }),
  json: () =>
    createConnectTransport({
      baseUrl: `http://${service.httpAddress}`,
      httpVersion: "1.1",
      useBinaryFormat: false,
    }),
  "grpc-web": () =>
    createGrpcWebTransport({ baseUrl: `http://${service.httpAddress}`, httpVersion: "1.1" }),
};

describe.each(Object.keys(transports) as (keyof typeof transports)[])("over %s", (stack) => {
  let client: Client<typeof AggregatorService>;
  const node = { nodeId: `node-${stack}`, nodeEpoch: 1n };
  beforeAll(() => {
    client = createClient(AggregatorService, transports[stack]());
  });

  async function outcomes(groups: GroupInit[], keys = keyTable()): Promise<Outcome[]> {
    const answer = await client.submitSnapshot({
      node,
      snapshot: snapshot(100, groups, keys),
      deadlineMs: 5000,
    });
    const { session } = await client.getSession({
      node,
      sessionId: sessionIdOf(answer),
      waitMs: 5000,
    });
    return session?.outcomes ?? [];
  }

  test("a good group is proved, its participants exact and its proof valid", async () => {
    const [outcome] = await outcomes([goodGroup()]);
    expect(outcome).toMatchObject({
      status: OutcomeStatus.PROVED,
      fake: true,
      attempt: expect.any(Number),
    });
    expect(outcome?.participants).toEqual(new Uint8Array([3]));
    const verify = { node, data: dataOf(group0), proof: outcome?.proof ?? new Uint8Array() };
    const exact = await client.verifyAggregate({
      ...verify,
      publicKeys: [publicKey(0), publicKey(1)],
    });
    expect(exact.valid).toBe(true);
    const fewer = await client.verifyAggregate({ ...verify, publicKeys: [publicKey(0)] });
    expect(fewer.valid).toBe(false);
  });

  test("bad content costs its own inputs only, each named", async () => {
    const short = { validatorIndex: 2, signature: new Uint8Array(3) };
    const unknown = { validatorIndex: 900, signature: new Uint8Array(64) };
    const bad = { ...fakeRaw(group0, 3), signature: fakeRaw(group0, 4).signature };
    const wrongLeaf = fakeRaw(group0, 5, 101);
    const child = { participants: new Uint8Array([1]), proof: new Uint8Array([1]) };
    const [outcome] = await outcomes([
      {
        ...goodGroup(),
        rawSignatures: [fakeRaw(group0, 0), short, unknown, bad, wrongLeaf],
        children: [child],
      },
    ]);
    expect(outcome?.status).toBe(OutcomeStatus.PROVED);
    expect(outcome?.participants).toEqual(new Uint8Array([1]));
    const reasons = outcome?.leftOut.map(({ reason, input }) => [reason, input.value]);
    expect(reasons).toHaveLength(5);
    expect(reasons).toEqual(
      expect.arrayContaining([
        [LeftOutReason.BAD_SIGNATURE, 2],
        [LeftOutReason.UNKNOWN_KEY, 900],
        [LeftOutReason.BAD_SIGNATURE, 3],
        [LeftOutReason.WRONG_LEAF, 5],
        [LeftOutReason.BAD_CHILD, 0],
      ]),
    );
  });

  test("a group with nothing good left is rejected, one with nothing in it has nothing to prove", async () => {
    const [odd1 = 0, odd2 = 0] = groupsOfSlot(101);
    const bad = { ...fakeRaw(odd1, 0, 101), signature: new Uint8Array(64) };
    const ended = await outcomes([
      { data: dataOf(odd1), rawSignatures: [bad] },
      { data: dataOf(odd2) },
    ]);
    expect(ended.map(({ status }) => status)).toEqual([
      OutcomeStatus.REJECTED,
      OutcomeStatus.NOTHING_TO_PROVE,
    ]);
  });

  test("a stream opens, gives outcome and summary, and resumes after its cursor", async () => {
    const answer = await client.submitSnapshot({ node, snapshot: snapshot(100, [goodGroup()]) });
    const sessionId = sessionIdOf(answer);
    const events = [];
    for await (const event of client.streamResults({ node, sessionId })) events.push(event);
    expect(events.map(({ event }) => event.case)).toEqual(["opened", "outcome", "summary"]);
    const resumed = [];
    const cursor = events[1]?.cursor ?? "";
    for await (const event of client.streamResults({ node, sessionId, cursor }))
      resumed.push(event);
    expect(resumed.slice(1)).toEqual(events.slice(2));
  });

  test("a second snapshot in flight is skipped, a retry gets the first answer, cancel ends it", async () => {
    gate.isOpen = false;
    const request = {
      node,
      snapshot: snapshot(100, [goodGroup()]),
      requestId: `retry-${stack}`,
      deadlineMs: 5000,
    };
    const first = await client.submitSnapshot(request);
    const second = await client.submitSnapshot({ ...request, requestId: "" });
    expect(second.result).toMatchObject({
      case: "skipped",
      value: { reason: SkipReason.IN_FLIGHT },
    });
    expect(await client.submitSnapshot({ ...request, deadlineMs: 9 })).toEqual(first);
    const other = { ...request, snapshot: snapshot(101, [goodGroup()]) };
    await expect(client.submitSnapshot(other)).rejects.toThrow(/request_id/);

    const sessionId = sessionIdOf(first);
    const stranger = { node: { nodeId: "stranger" }, sessionId };
    await expect(client.cancelSession(stranger)).rejects.toThrow(/session_id/);
    const { session } = await client.cancelSession({ node, sessionId });
    open();
    expect(session?.outcomes[0]?.reason).toBe(OutcomeReason.CANCELLED);
    expect((await client.cancelSession({ node, sessionId })).session).toEqual(session);
  });

  test("the call's deadline is the budget where the request has none", async () => {
    const { result } = await client.submitSnapshot(
      { node, snapshot: snapshot(100, [goodGroup()]) },
      { timeoutMs: 3000 },
    );
    expect(result.case === "accepted" && result.value.deadlineSource).toBe(DeadlineSource.CALL);
    expect(result.case === "accepted" && result.value.deadlineMs).toBeLessThanOrEqual(3000);
    await client.getSession({
      node,
      sessionId: sessionIdOf({ result } as SubmitSnapshotResponse),
      waitMs: 5000,
    });
  });

  test.each<[string, Parameters<typeof create<typeof SubmitSnapshotRequestSchema>>[1], RegExp]>([
    ["no node", { snapshot: snapshot(100, [goodGroup()]) }, /node: is missing/],
    [
      "an odd node id",
      { node: { nodeId: "a b" }, snapshot: snapshot(100, [goodGroup()]) },
      /node\.node_id/,
    ],
    ["no snapshot", { node }, /snapshot: is missing/],
    ["no groups", { node, snapshot: snapshot(100, []) }, /snapshot\.groups: is empty/],
    [
      "the same data twice",
      { node, snapshot: snapshot(100, [goodGroup(), goodGroup()]) },
      /groups\[1\]\.data/,
    ],
    [
      "a validator twice",
      { node, snapshot: snapshot(100, [goodGroup()], [...keyTable(2), ...keyTable(1)]) },
      /keys\[2\]\.validator_index/,
    ],
    [
      "a key twice",
      {
        node,
        snapshot: snapshot(
          100,
          [goodGroup()],
          [...keyTable(1), { validatorIndex: 9, publicKey: publicKey(0) }],
        ),
      },
      /keys\[1\]\.public_key/,
    ],
    [
      "a short message",
      { node, snapshot: snapshot(100, [{ ...goodGroup(), message: new Uint8Array(5) }]) },
      /groups\[0\]\.message: has 5/,
    ],
    [
      "another message",
      { node, snapshot: snapshot(100, [{ ...goodGroup(), message: new Uint8Array(32) }]) },
      /not hash_tree_root/,
    ],
    [
      "a short root",
      {
        node,
        snapshot: snapshot(100, [
          { data: { ...dataOf(group0), head: { root: new Uint8Array(31), slot: 1n } } },
        ]),
      },
      /groups\[0\]\.data\.head\.root: has 31/,
    ],
    [
      "a long bitlist",
      {
        node,
        snapshot: snapshot(100, [
          { ...goodGroup(), children: [{ participants: new Uint8Array(513) }] },
        ]),
      },
      /children\[0\]\.participants/,
    ],
    [
      "another scheme",
      { node, snapshot: snapshot(100, [goodGroup()]), proofSystem: { scheme: "bls" } },
      /proof_system\.scheme/,
    ],
    [
      "another revision",
      { node, snapshot: snapshot(100, [goodGroup()]), proofSystem: { revision: "x" } },
      /proof_system\.revision/,
    ],
    [
      "no time",
      { node, snapshot: snapshot(100, [goodGroup()]), deadlineMs: 0 },
      /deadline_ms: is 0/,
    ],
    ["an absurd fence", { node, snapshot: snapshot(100, [goodGroup()]), fenceMs: 4e9 }, /fence_ms/],
    [
      "a merge",
      { node, snapshot: snapshot(100, [{ ...goodGroup(), kind: 2 }]) },
      /groups\[0\]\.kind/,
    ],
  ])("%s is refused, naming the field", async (_name, request, message) => {
    await expect(
      client.submitSnapshot(create(SubmitSnapshotRequestSchema, request)),
    ).rejects.toThrow(message);
  });

  test("an unknown session and a forged cursor are refused", async () => {
    await expect(client.getSession({ node, sessionId: "nope" })).rejects.toThrow(/session_id/);
    const read = async () => {
      for await (const _event of client.streamResults({ node, cursor: "AAAA" })) return;
    };
    await expect(read()).rejects.toThrow(/cursor/);
  });
});

test("a reader of another instance's cursor gets a gap, then what there is", async () => {
  const client = createClient(AggregatorService, transports.grpc());
  const cursor = Buffer.from("ffffffffffffffff:3").toString("base64url");
  const cases = [];
  for await (const { event } of client.streamResults({
    node: { nodeId: "node-grpc" },
    cursor,
    noFollow: true,
  })) {
    cases.push(event.case);
  }
  expect(cases.slice(0, 3)).toEqual(["opened", "gap", "outcome"]);
});

test("readyz, livez and metrics answer", async () => {
  const get = async (path: string) => (await fetch(`http://${service.httpAddress}${path}`)).text();
  expect(await get("/livez")).toBe("ok\n");
  expect(await get("/readyz")).toBe("ok\n");
  expect(await get("/metrics")).toMatch(/lean_aggregator_skip_total\{reason="overloaded"\} 0/);
});

// Last: the refused connection is closed, and HTTP/1.1 clients of this process share an agent.
test.each(["grpc", "connect"] as const)(
  "an oversized message is refused over %s, and the service goes on",
  async (stack) => {
    const proof = new Uint8Array(25 * 1024 * 1024);
    const request = {
      node: { nodeId: "big" },
      data: dataOf(group0),
      publicKeys: [publicKey(0)],
      proof,
    };
    const client = createClient(AggregatorService, transports[stack]());
    await expect(client.verifyAggregate(request)).rejects.toThrow();
    const live = await fetch(`http://${service.httpAddress}/livez`);
    expect(live.status).toBe(200);
  },
);
