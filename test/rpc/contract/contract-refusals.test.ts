/** One contract over every protocol: broken structure is refused, naming the field. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  BusyPolicy,
  KeyRole,
  PartialPolicy,
  Priority,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedData,
  inventedGroup,
  nodeFor,
  protocolNames,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { keyTable, publicKey, snapshot } from "../../../tools/harness/vectors.js";

let service: Service;
beforeAll(async () => {
  service = await startTestService(new Gate().startProver);
});
afterAll(() => service.close());

const step = (untilMs: number, weight: number) => ({ untilMs, weight });

/** A snapshot of SSZ bitlists with one child, whose participants are these bytes. */
function sszSnapshot(...participants: number[]) {
  const child = { participants: Uint8Array.from(participants), proof: new Uint8Array(1) };
  const group = { ...inventedGroup(0), children: [child] };
  return { ...snapshot(100, [group]), sszBitlists: true };
}

async function refusalOf(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.catch((reason: unknown) => reason);
  if (!(error instanceof ConnectError)) throw new Error(`not refused: ${JSON.stringify(error)}`);
  return error;
}

describe.each(protocolNames)("over %s", (protocol) => {
  let client: AggregatorClient;
  const node = nodeFor(protocol, "refusals");
  beforeAll(() => {
    client = clientOver(service, protocol);
  });

  test.each<[string, Parameters<typeof create<typeof SubmitSnapshotRequestSchema>>[1], RegExp]>([
    ["no node", { snapshot: snapshot(100, [inventedGroup(0)]) }, /node: is missing/],
    [
      "an odd node id",
      { node: { nodeId: "a b" }, snapshot: snapshot(100, [inventedGroup(0)]) },
      /node\.node_id/,
    ],
    ["no snapshot", { node }, /snapshot: is missing/],
    ["no groups", { node, snapshot: snapshot(100, []) }, /snapshot\.groups: is empty/],
    [
      "the same data twice",
      { node, snapshot: snapshot(100, [inventedGroup(0), inventedGroup(0)]) },
      /groups\[1\]\.data/,
    ],
    [
      "a validator twice",
      { node, snapshot: snapshot(100, [inventedGroup(0)], [...keyTable(2), ...keyTable(1)]) },
      /keys\[2\]\.validator_index/,
    ],
    [
      "a key twice",
      {
        node,
        snapshot: snapshot(
          100,
          [inventedGroup(0)],
          [...keyTable(1), { validatorIndex: 9, publicKey: publicKey(0) }],
        ),
      },
      /keys\[1\]\.public_key/,
    ],
    [
      "a short message",
      { node, snapshot: snapshot(100, [{ ...inventedGroup(0), message: new Uint8Array(5) }]) },
      /groups\[0\]\.message: has 5/,
    ],
    [
      "another message",
      { node, snapshot: snapshot(100, [{ ...inventedGroup(0), message: new Uint8Array(32) }]) },
      /not hash_tree_root/,
    ],
    [
      "a short root",
      {
        node,
        snapshot: snapshot(100, [
          { data: { ...inventedData(0), head: { root: new Uint8Array(31), slot: 1n } } },
        ]),
      },
      /groups\[0\]\.data\.head\.root: has 31/,
    ],
    [
      "a long bitlist",
      {
        node,
        snapshot: snapshot(100, [
          { ...inventedGroup(0), children: [{ participants: new Uint8Array(513) }] },
        ]),
      },
      /children\[0\]\.participants/,
    ],
    [
      "another scheme",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), proofSystem: { scheme: "bls" } },
      /proof_system\.scheme/,
    ],
    [
      "another revision",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), proofSystem: { revision: "x" } },
      /proof_system\.revision/,
    ],
    [
      "a rate that is not offered",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), proofSystem: { logInvRate: 9 } },
      /log_inv_rate: is 9, this server offers 0, 1, 2, 3, 4, 5, 6, 7, 8/,
    ],
    [
      "an absurd fence",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), fenceMs: 4e9 },
      /fence_ms/,
    ],
    [
      "an absurd deadline",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), deadlineMs: 2 ** 32 - 1 },
      /deadline_ms/,
    ],
    [
      "a long request id",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), requestId: "x".repeat(65) },
      /request_id/,
    ],
    [
      "a priority of no name",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), priority: 99 as Priority },
      /priority/,
    ],
    [
      "a busy policy of no name",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), busyPolicy: 3 as BusyPolicy },
      /^busy_?[pP]olicy: is 3, expected .*SKIP or .*REPLACE$/,
    ],
    [
      "a partial policy of no name",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), partialPolicy: 99 as PartialPolicy },
      /^partial_?[pP]olicy: is 99, expected .*ALLOW or .*FORBID$/,
    ],
    [
      "a key of no role",
      {
        node,
        snapshot: snapshot(
          100,
          [inventedGroup(0)],
          [{ validatorIndex: 0, publicKey: publicKey(0), role: 9 as KeyRole }],
        ),
      },
      /^snapshot\.keys\[0\]\.role: is 9, expected .*ATTESTATION or .*PROPOSAL$/,
    ],
    [
      "an odd request id",
      { node, snapshot: snapshot(100, [inventedGroup(0)]), requestId: "a/b" },
      /^request_id: is "a\/b", expected no id or 1 to 64 characters of A-Z a-z 0-9 \. _ -$/,
    ],
    [
      "more steps than a request has",
      { node, steps: Array.from({ length: 9 }, () => ({ untilMs: 1, weight: 1 })) },
      /^steps: has 9 entries, at most 8$/,
    ],
    [
      "a step after the longest fence",
      { node, steps: [{ untilMs: 120_001, weight: 1 }] },
      /^steps\[0\]\.until_ms: is 120001, expected 0 to 120000$/,
    ],
    [
      "a step without weight",
      { node, steps: [{ untilMs: 100, weight: 0 }] },
      /^steps\[0\]\.weight: is 0, expected 1 to 1000000$/,
    ],
    [
      "a step of too great a weight",
      { node, steps: [{ untilMs: 100, weight: 1_000_001 }] },
      /^steps\[0\]\.weight: is 1000001, expected 1 to 1000000$/,
    ],
    [
      "steps whose ends do not ascend",
      { node, steps: [step(100, 2), step(99, 1)] },
      /^steps\[1\]\.until_ms: is 99, below the 100 of the step before$/,
    ],
    [
      "steps whose weights do not descend",
      { node, steps: [step(100, 2), step(100, 2)] },
      /^steps\[1\]\.weight: is 2, not below the 2 of the step before$/,
    ],
    [
      "an SSZ bitlist of no bytes",
      { node, snapshot: sszSnapshot() },
      /^snapshot\.groups\[0\]\.children\[0\]\.participants: is empty, expected an SSZ bitlist/,
    ],
    [
      "an SSZ bitlist without length bit",
      { node, snapshot: sszSnapshot(1, 0) },
      /^snapshot\.groups\[0\]\.children\[0\]\.participants: ends with a byte of 0, expected an/,
    ],
    [
      "an SSZ bitlist of too great a length",
      { node, snapshot: sszSnapshot(...new Uint8Array(512), 0b10) },
      /^snapshot\.groups\[0\]\.children\[0\]\.participants: has length 4097, at most 4096$/,
    ],
  ])("%s is refused, naming the field", async (_name, request, message) => {
    const error = await refusalOf(
      client.submitSnapshot(create(SubmitSnapshotRequestSchema, request)),
    );
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      expect.stringMatching(message),
    ]);
  });

  test("more entries than a snapshot can have are refused before they are decoded", async () => {
    const groups = Array.from({ length: 2 * limits.requestMessagesMax + 1 }, () => ({}));
    const error = await refusalOf(client.submitSnapshot({ node, snapshot: { groups } }));
    expect(error.code).toBe(Code.ResourceExhausted);
  });

  test("an unknown request is not found", async () => {
    const error = await refusalOf(client.getSession({ node, requestId: "nope" }));
    expect([error.code, error.rawMessage]).toEqual([
      Code.NotFound,
      expect.stringMatching(/^request_id: no request "nope" of this node$/),
    ]);
  });

  test("a wait over the limit is refused", async () => {
    const request = { node, requestId: "nope", waitMs: limits.waitMsMax + 1 };
    const error = await refusalOf(client.getSession(request));
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      expect.stringMatching(/^wait_ms: /),
    ]);
  });

  test.each<[string, object[], RegExp]>([
    ["too many", Array.from({ length: 65 }, (_, n) => ({ requestId: `${n}` })), /^awaited: has 65/],
    [
      "a malformed one",
      [{ requestId: "a" }, {}],
      /^awaited\[1\]\.request_id: is "", expected 1 to/,
    ],
    [
      "one twice",
      [{ requestId: "a" }, { requestId: "a" }],
      /^awaited\[1\]\.request_id: "a" occurs/,
    ],
  ])("awaited requests: %s is refused", async (_, awaited, text) => {
    const read = async () => {
      for await (const _event of client.streamResults({ node, awaited })) return;
    };
    const error = await refusalOf(read());
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      expect.stringMatching(text),
    ]);
  });

  test.each<[string, object, RegExp]>([
    ["no key", { publicKeys: [] }, /^public_keys: is empty/],
    ["a short key", { publicKeys: [new Uint8Array(3)] }, /^public_keys\[0\]: has 3 bytes/],
    ["no proof", { proof: new Uint8Array() }, /^proof: has 0 bytes/],
    [
      "a large proof",
      { proof: new Uint8Array(limits.proofBytesMax + 1) },
      /^proof: has 524289 bytes/,
    ],
    ["another message", { message: new Uint8Array(32) }, /^message: is not hash_tree_root/],
  ])("to verify with %s is refused", async (_name, change, message) => {
    const good = { publicKeys: [publicKey(0)], proof: new Uint8Array(1) };
    const request = { node, data: inventedData(0), ...good, ...change };
    const error = await refusalOf(client.verifyAggregate(request));
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      expect.stringMatching(message),
    ]);
  });
});
