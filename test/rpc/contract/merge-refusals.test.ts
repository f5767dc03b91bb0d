/** A snapshot of merges with a broken structure is refused, naming the field. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  KeyRole,
  Priority,
  ProofKind,
  SubmitSnapshotRequestSchema,
  VerifyAggregateRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Prover } from "../../../server/prover/prover.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedData,
  inventedGroup,
  inventedRaw,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import {
  blockRoot,
  keysOfBothRoles,
  mergeOf,
  proofComponent,
  rawsComponent,
  rootComponent,
} from "../../../tools/harness/merges.js";
import type { ComponentInit } from "../../../tools/harness/merges.js";
import { keyTable, publicKey, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";
import { startTestService } from "../../helpers/start-service.js";

const node = { nodeId: "merger" };
const SIGNED_ROOT = { case: "root", value: { root: blockRoot(100), slot: 100n } } as const;
const PROOF = new Uint8Array(1);
const submitted = (groups: GroupInit[], change: object = {}) => {
  const sent = snapshot(100, groups, keysOfBothRoles());
  return create(SubmitSnapshotRequestSchema, { node, snapshot: sent, ...change });
};

async function refusalOf(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.catch((reason: unknown) => reason);
  if (!(error instanceof ConnectError)) throw new Error(`not refused: ${JSON.stringify(error)}`);
  return error;
}

describe("of a prover that merges", () => {
  let service: Service;
  let client: AggregatorClient;
  beforeAll(async () => {
    service = await startTestService(new Gate().startProver);
    client = clientOver(service, "gRPC");
  });
  afterAll(() => service.close());

  const own = rawsComponent(0);
  test.each<[string, GroupInit[], string]>([
    [
      "components in a fold",
      [{ ...inventedGroup(0), components: [own] }],
      "groups[0].components: is for MERGE, and kind is AGGREGATE",
    ],
    ["data beside components", [{ ...mergeOf(own), data: inventedData(1) }], "groups[0].data: is"],
    ["a message", [{ ...mergeOf(own), message: new Uint8Array(32) }], "groups[0].message: is for"],
    [
      "raw signatures beside components",
      [{ ...mergeOf(own), rawSignatures: [inventedRaw(0, 0)] }],
      "groups[0].raw_signatures: is for AGGREGATE; a MERGE has its messages in components",
    ],
    ["children", [{ ...mergeOf(own), children: [{ proof: PROOF }] }], "groups[0].children: is for"],
    [
      "a fold among merges",
      [mergeOf(own), inventedGroup(1)],
      "groups[1].kind: is AGGREGATE, but snapshot.groups[0] is MERGE: a snapshot is of one kind",
    ],
    [
      "a merge among folds",
      [inventedGroup(1), mergeOf(own)],
      "groups[1].kind: is MERGE, but snapshot.groups[0] is AGGREGATE: a snapshot is of one kind",
    ],
    [
      "no component",
      [mergeOf()],
      "groups[0].components: is empty: a MERGE has 1 component or more",
    ],
    [
      "more components than a block has",
      [mergeOf(...Array.from({ length: limits.mergeMessagesMax + 1 }, () => ({})))],
      "groups[0].components: has 17 entries, at most 16",
    ],
    [
      "a message twice",
      [mergeOf(own, rootComponent(100), rawsComponent(0, [5]))],
      "groups[0].components[2].claim.data: is the message of component 0 too",
    ],
    [
      "the same merge twice",
      [mergeOf(own), mergeOf(own, rawsComponent(1)), mergeOf(own)],
      "groups[2].components: are those of snapshot.groups[0] too",
    ],
  ])("%s is refused", async (_name, groups, message) => {
    const error = await refusalOf(client.submitSnapshot(submitted(groups)));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain(`snapshot.${message}`);
  });

  const root = rootComponent(100).claim;
  const of = (value: object) => ({ claim: { signed: { case: "root", value } } }) as ComponentInit;
  test.each<[string, ComponentInit, string]>([
    ["without claim", { from: own.from }, ".claim: is missing"],
    ["without message", { claim: {}, from: own.from }, ".claim: has neither data nor root"],
    ["without inputs", { claim: own.claim }, ": has neither proof nor raws"],
    [
      "of a short root",
      of({ root: PROOF, slot: 1n }),
      ".claim.root.root: has 1 bytes, expected 32",
    ],
    [
      "of a slot that no key has",
      of({ root: blockRoot(1), slot: 2n ** 32n }),
      ".claim.root.slot: is 4294967296, but XMSS leaf indices end at 4294967295",
    ],
    [
      "of data without head",
      { claim: { signed: { case: "data", value: { slot: 1n } } } },
      ".claim.data.head: is missing",
    ],
    [
      "of an unknown role",
      { ...rootComponent(100), claim: { ...root, role: 9 as KeyRole } },
      ".claim.role: is 9, expected ATTESTATION or PROPOSAL",
    ],
    [
      "of a vote by a proposal key",
      { ...own, claim: { ...own.claim, role: KeyRole.PROPOSAL } },
      ".claim.role: is PROPOSAL, but attestation data is signed by ATTESTATION",
    ],
    [
      "with a proof of nobody",
      { ...proofComponent(0, PROOF, [0]), claim: { ...own.claim } },
      ".claim.participants: is empty: a proof needs its participants",
    ],
    [
      "with a proof whose participants are no validator",
      { ...proofComponent(0, PROOF), claim: { ...own.claim, participants: new Uint8Array(2) } },
      ".claim.participants: names no validator",
    ],
    [
      "with participants of more than all validators",
      { ...proofComponent(0, PROOF), claim: { ...own.claim, participants: new Uint8Array(513) } },
      ".claim.participants: has 513 bytes, at most 512",
    ],
    [
      "with raws and participants",
      { ...own, claim: { ...own.claim, participants: PROOF } },
      ".claim.participants: is for a proof; raws name their validators",
    ],
    [
      "with no signature",
      { ...own, from: { case: "raws", value: {} } },
      ".raws.signatures: is empty",
    ],
    [
      "with a validator twice",
      rawsComponent(0, [4, 5, 4]),
      ".raws.signatures[2].validator_index: 4 is there twice",
    ],
  ])("a component %s is refused", async (_name, component, message) => {
    const groups = [mergeOf(rawsComponent(1)), mergeOf(rawsComponent(2), component)];
    const error = await refusalOf(client.submitSnapshot(submitted(groups)));
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      `snapshot.groups[1].components[1]${message}`,
    ]);
  });

  test("a merge of more keys than a proof has room for is refused, and one of as many is not", async () => {
    const half = limits.mergeKeysMax / 2;
    const of = (votes: number) => {
      const validators = Array.from({ length: votes }, (_, validator) => validator);
      return mergeOf(proofComponent(0, PROOF, validators), proofComponent(1, PROOF, validators));
    };
    const error = await refusalOf(client.submitSnapshot(submitted([mergeOf(own), of(half + 1)])));
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      "snapshot.groups[1].components: have 4098 votes, at most 4096 in one proof",
    ]);
    const { result } = await client.submitSnapshot(submitted([of(half)]));
    expect(result.case).toBe("accepted");
  });

  test("at priority PROPOSAL a proposer's root of another slot is refused", async () => {
    const groups = [mergeOf(rawsComponent(1), rootComponent(101))];
    const change = { priority: Priority.PROPOSAL };
    const error = await refusalOf(client.submitSnapshot(submitted(groups, change)));
    expect([error.code, error.rawMessage]).toEqual([
      Code.InvalidArgument,
      "snapshot.groups[0].components[1].claim.root.slot: is 101, but the snapshot's slot is 100: " +
        "priority PROPOSAL is for the present slot",
    ]);
    const { result } = await client.submitSnapshot(submitted(groups));
    expect(result.case).toBe("accepted");
  });

  test("a proposal key is refused in a snapshot of folds, and a key of no validator", async () => {
    const key = { validatorIndex: 0, publicKey: publicKey(40), role: KeyRole.PROPOSAL };
    const sent = snapshot(100, [inventedGroup(0)], [...keyTable(2), key]);
    const error = await refusalOf(client.submitSnapshot({ node, snapshot: sent }));
    expect(error.rawMessage).toBe("snapshot.keys[2].role: is PROPOSAL, which is for MERGE");
    const outside = { validatorIndex: limits.validatorsMax, publicKey: publicKey(40) };
    const other = snapshot(100, [inventedGroup(0)], [outside]);
    const refusal = await refusalOf(client.submitSnapshot({ node, snapshot: other }));
    expect(refusal.rawMessage).toBe(
      "snapshot.keys[0].validator_index: is 4096, expected 0 to 4095",
    );
  });

  const keys = [publicKey(0)];
  const claim = { signed: SIGNED_ROOT, publicKeys: keys };
  test.each<[string, object, string]>([
    [
      "claims of a fold",
      { kind: ProofKind.AGGREGATE, claims: [claim] },
      "claims: is for MERGE, and",
    ],
    ["no claim", {}, "claims: has 0 entries, expected 1 to 16"],
    ["too many claims", { claims: Array(17).fill({}) }, "claims: has 17 entries, expected 1 to 16"],
    ["data beside claims", { claims: [claim], data: inventedData(0) }, "data: is for AGGREGATE"],
    ["keys beside claims", { claims: [claim], publicKeys: keys }, "public_keys: is for AGGREGATE"],
    ["a message", { claims: [claim], message: blockRoot(1) }, "message: is for AGGREGATE"],
    ["a claim of nothing", { claims: [{ publicKeys: keys }] }, "claims[0]: has neither data nor"],
    ["a claim without keys", { claims: [{ signed: SIGNED_ROOT }] }, "claims[0].public_keys: is em"],
    [
      "a short key",
      { claims: [{ ...claim, publicKeys: [...keys, PROOF] }] },
      "claims[0].public_keys[1]: has 1 bytes, expected 32",
    ],
    ["a message twice", { claims: [claim, claim] }, "claims[1]: has the message of claims[0] too"],
  ])("to verify with %s is refused", async (_name, change, message) => {
    const request = { node, kind: ProofKind.MERGE, proof: PROOF, ...change };
    const call = client.verifyAggregate(create(VerifyAggregateRequestSchema, request));
    const error = await refusalOf(call);
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain(message);
  });
});

describe("of a prover that merges nothing", () => {
  let service: Service;
  let client: AggregatorClient;
  beforeAll(async () => {
    service = await startTestService(() => withoutMerges(new Gate().startProver()));
    client = clientOver(service, "gRPC");
  });
  afterAll(() => service.close());

  test.each<[string, object, string]>([
    [
      "a merge",
      snapshot(100, [inventedGroup(0), { kind: ProofKind.MERGE }]),
      "snapshot.groups[1].kind: MERGE is not offered; this service offers AGGREGATE",
    ],
    [
      "a root in a component",
      snapshot(100, [{ components: [{ claim: { signed: SIGNED_ROOT } }] }]),
      "snapshot.groups[0].components: MERGE is not offered; this service offers AGGREGATE",
    ],
    [
      "a proposal key",
      { keys: [{ validatorIndex: 0, publicKey: publicKey(1), role: KeyRole.PROPOSAL }] },
      "snapshot.keys[0].role: PROPOSAL is for MERGE, which is not offered; " +
        "this service offers AGGREGATE",
    ],
  ])("%s is refused as not offered, naming the field", async (_name, sent, message) => {
    const request = create(SubmitSnapshotRequestSchema, { node, snapshot: sent });
    const error = await refusalOf(client.submitSnapshot(request));
    expect([error.code, error.rawMessage]).toEqual([Code.Unimplemented, message]);
  });

  test.each<[string, object, string]>([
    ["kind", { kind: ProofKind.MERGE }, "kind: MERGE"],
    ["claims", { claims: [{ signed: SIGNED_ROOT }] }, "claims: MERGE"],
  ])("to verify with %s of a merge is refused as not offered", async (_name, request, what) => {
    const error = await refusalOf(client.verifyAggregate({ node, ...request }));
    expect([error.code, error.rawMessage]).toEqual([
      Code.Unimplemented,
      `${what} is not offered; this service offers AGGREGATE`,
    ]);
  });

  test("the offer says so", async () => {
    const { status } = await client.getServerInfo({ node });
    const [offer] = status?.offers ?? [];
    expect(offer).toMatchObject({ kinds: [ProofKind.AGGREGATE], messagesMax: 0 });
  });
});

function withoutMerges(prover: Prover): Prover {
  const description = { ...prover.description, messagesMax: 0 };
  return Object.assign(prover, { description, ready: Promise.resolve(description) });
}
