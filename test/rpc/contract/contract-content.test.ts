/** One contract over every protocol: bad content costs its own inputs, each named. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedData,
  inventedGroup,
  inventedRaw,
  nodeFor,
  outcomesOf,
  protocolNames,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { bits, keyTable, publicKey } from "../../../tools/harness/vectors.js";

const CHILDREN_MAX = 2;

let service: Service;
beforeAll(async () => {
  service = await startTestService(() => {
    const prover = new Gate().startProver();
    const description = { ...prover.description, childrenMax: CHILDREN_MAX };
    return Object.assign(prover, { description, ready: Promise.resolve(description) });
  });
});
afterAll(() => service.close());

const leftOut = (outcome: Outcome | undefined) =>
  outcome?.leftOut.map(({ reason, input }) => [reason, input.case, input.value]);

describe.each(protocolNames)("over %s", (protocol) => {
  let client: AggregatorClient;
  beforeAll(() => {
    client = clientOver(service, protocol);
  });

  test("bad raw signatures are left out, the rest is proved", async () => {
    const short = { validatorIndex: 2, signature: new Uint8Array(3) };
    const unknown = { validatorIndex: 900, signature: new Uint8Array(64) };
    const bad = { ...inventedRaw(0, 3), signature: inventedRaw(0, 4).signature };
    const wrongLeaf = inventedRaw(0, 5, 101);
    const rawSignatures = [inventedRaw(0, 0), short, unknown, bad, wrongLeaf];
    const [outcome] = await outcomesOf(client, nodeFor(protocol, "raws"), [
      { data: inventedData(0), rawSignatures },
    ]);
    expect(outcome).toMatchObject({
      status: OutcomeStatus.PROVED,
      participants: bits([0]),
    });
    expect(leftOut(outcome)).toHaveLength(4);
    expect(leftOut(outcome)).toEqual(
      expect.arrayContaining([
        [LeftOutReason.BAD_SIGNATURE, "validatorIndex", 2],
        [LeftOutReason.UNKNOWN_KEY, "validatorIndex", 900],
        [LeftOutReason.BAD_SIGNATURE, "validatorIndex", 3],
        [LeftOutReason.WRONG_LEAF, "validatorIndex", 5],
      ]),
    );
  });

  test("a raw signature that is there twice counts once", async () => {
    const rawSignatures = [inventedRaw(0, 0), inventedRaw(0, 1), inventedRaw(0, 0)];
    const [outcome] = await outcomesOf(client, nodeFor(protocol, "twice"), [
      { data: inventedData(0), rawSignatures },
    ]);
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, participants: bits([0, 1]) });
    expect(leftOut(outcome)).toEqual([[LeftOutReason.COVERED, "validatorIndex", 0]]);
  });

  test("a key of the wrong length in the table is that validator's unknown key", async () => {
    const keys = keyTable(4).map((entry) =>
      entry.validatorIndex === 1 ? { ...entry, publicKey: publicKey(1).slice(1) } : entry,
    );
    const node = nodeFor(protocol, "key length");
    const [outcome] = await outcomesOf(client, node, [inventedGroup(0, [0, 1, 2])], keys);
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, participants: bits([0, 2]) });
    expect(leftOut(outcome)).toEqual([[LeftOutReason.UNKNOWN_KEY, "validatorIndex", 1]]);
  });

  test("more children than the prover folds at once are folded in several steps", async () => {
    const node = nodeFor(protocol, "children");
    const children = [];
    for (const validators of [[0, 1], [2], [3, 4]]) {
      const [{ proof = new Uint8Array(), participants = new Uint8Array() } = {}] = await outcomesOf(
        client,
        node,
        [inventedGroup(0, validators)],
      );
      children.push({ proof, participants });
    }
    const [outcome] = await outcomesOf(client, node, [
      { data: inventedData(0), rawSignatures: [inventedRaw(0, 5)], children },
    ]);
    expect(outcome).toMatchObject({
      status: OutcomeStatus.PROVED,
      participants: bits([0, 1, 2, 3, 4, 5]),
      childrenFolded: [0, 1, 2],
    });
    expect(leftOut(outcome)).toEqual([]);
  });

  test("oversized, empty and forged children are left out, the raws are proved", async () => {
    const participants = bits([6]);
    const children = [
      { participants, proof: new Uint8Array(limits.proofBytesMax + 1) },
      { participants, proof: new Uint8Array() },
    ];
    const forged = [{ participants, proof: new Uint8Array(100) }];
    const [outcome, other] = await outcomesOf(client, nodeFor(protocol, "bad children"), [
      { ...inventedGroup(0), children },
      { ...inventedGroup(1), children: forged },
    ]);
    expect([outcome?.status, other?.status]).toEqual([OutcomeStatus.PROVED, OutcomeStatus.PROVED]);
    expect(leftOut(outcome)).toEqual([
      [LeftOutReason.BAD_CHILD, "childIndex", 0],
      [LeftOutReason.BAD_CHILD, "childIndex", 1],
    ]);
    expect(leftOut(other)).toEqual([[LeftOutReason.BAD_CHILD, "childIndex", 0]]);
  });

  test("groups over the limit are not started, the others are proved", async () => {
    const groups = Array.from({ length: limits.groupsMax + 2 }, (_, n) => inventedGroup(n, [0]));
    const ended = await outcomesOf(client, nodeFor(protocol, "groups"), groups);
    const { PROVED, NOT_STARTED } = OutcomeStatus;
    expect(ended.map(({ status }) => status)).toEqual([
      ...Array<OutcomeStatus>(limits.groupsMax).fill(PROVED),
      NOT_STARTED,
      NOT_STARTED,
    ]);
    expect(ended.at(-1)?.reason).toBe(OutcomeReason.LIMIT);
  });

  test("a group with nothing good left is rejected, an empty one has nothing to prove", async () => {
    const bad = { ...inventedRaw(0, 0), signature: new Uint8Array(64) };
    const ended = await outcomesOf(client, nodeFor(protocol, "rejected"), [
      { data: inventedData(0), rawSignatures: [bad] },
      { data: inventedData(1) },
    ]);
    expect(ended.map(({ status }) => status)).toEqual([
      OutcomeStatus.REJECTED,
      OutcomeStatus.NOTHING_TO_PROVE,
    ]);
  });
});
