/** Decoding a snapshot of merges: the work of each component, its claim, and what is left out. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  KeyRole,
  Priority,
  SnapshotSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, encodeSszBitlist } from "../../../proto/bitlist.js";
import { decodeSnapshot } from "../../../server/admission/decode-snapshot.js";
import { sha256 } from "../../../server/bytes.js";
import { mayStart, messagesOf } from "../../../server/work/group.js";
import { inventedData, inventedRaw } from "../../../tools/harness/wire/contract.js";
import {
  blockRoot,
  keysOfBothRoles,
  mergeOf,
  proofComponent,
  rawsComponent,
  rootComponent,
} from "../../../tools/harness/merges.js";
import { bits, publicKey, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";

const sizes = {
  ...{ groupsMax: 2, groupsSentMax: 4, validatorsMax: 32, inputsMax: 12, childrenMax: 2 },
  participantsMax: 64,
  ...{ messagesMax: 3, proofBytesMax: 100, publicKeyBytes: 32, signatureBytes: 64 },
  ...{ scheme: "s", revision: "r" },
};
const ask = { logInvRate: 2, priority: Priority.AGGREGATION };

function decode(groups: GroupInit[], change: { sszBitlists?: boolean } = {}) {
  const sent = Object.assign(snapshot(100, groups, keysOfBothRoles()), change);
  return decodeSnapshot(create(SnapshotSchema, sent), ask, sizes).map(({ work, ...group }) => {
    if (work.kind !== "merge") throw new Error("the work is no merge");
    return { ...group, work };
  });
}

const proof = Uint8Array.of(7, 8);

test("each component has its message, and its inputs with the keys of its role", () => {
  const parts = [proofComponent(0, proof, [1, 4]), rawsComponent(1, [2]), rootComponent(100, 3)];
  const [group] = decode([mergeOf(...parts)]);
  expect(group?.data).toBeUndefined();
  expect(group?.work).toMatchObject({ kind: "merge", leftOut: [], logInvRate: 2 });
  const [ofProof, ofRaws, ofRoot] = group?.work.components ?? [];
  expect(ofProof?.from).toMatchObject({ kind: "proof", child: { index: 0, proof } });
  const { signature } = inventedRaw(1, 2);
  expect(ofRaws?.from).toEqual({
    kind: "raws",
    raws: { validators: [2], keys: publicKey(2), signatures: signature },
  });
  expect(ofRoot).toMatchObject({
    message: { root: blockRoot(100), slot: 100 },
    from: { raws: { validators: [3], keys: publicKey(32 + 3) } },
  });
  expect(group && messagesOf(group.work).map(({ slot }) => slot)).toEqual([100, 100, 100]);
  expect([group?.votes, group?.claimVotes]).toEqual([4, [2, 1, 1]]);
});

test("claims are those of the components, in their order, with the participants of each", () => {
  const parts = [rootComponent(100, 3), proofComponent(0, proof, [1, 4]), rawsComponent(1, [9])];
  const [group] = decode([mergeOf(...parts)]);
  const named = group?.claims.map(({ signed, role, participants }) => {
    return [signed.case, role, bitsToIndices(participants)];
  });
  expect(named).toEqual([
    ["root", KeyRole.PROPOSAL, [3]],
    ["data", KeyRole.ATTESTATION, [1, 4]],
    ["data", KeyRole.ATTESTATION, [9]],
  ]);
  expect(group?.claims[1]?.signed.value).toMatchObject(inventedData(0));
});

test("participants are SSZ bitlists of the longest length where the snapshot has those", () => {
  const { from, claim } = proofComponent(0, proof);
  const ssz = { from, claim: { ...claim, participants: encodeSszBitlist([1], 7) } };
  const [group] = decode([mergeOf(ssz, rawsComponent(1, [9]), rootComponent(100, 2))], {
    sszBitlists: true,
  });
  expect(group?.claims.map(({ participants }) => participants)).toEqual([
    encodeSszBitlist([1], 7),
    encodeSszBitlist([9], 10),
    encodeSszBitlist([2], 7),
  ]);
  const plain = decode([
    mergeOf(proofComponent(0, proof, [1]), rawsComponent(1, [9]), rootComponent(100, 2)),
  ]);
  expect(group?.digest).toBe(plain[0]?.digest);
});

test("the order of the components makes another work, that of their signatures does not", () => {
  const digestOf = (...parts: Parameters<typeof mergeOf>) => decode([mergeOf(...parts)])[0]?.digest;
  const ab = digestOf(rawsComponent(0, [1, 2]), rawsComponent(1));
  expect(digestOf(rawsComponent(0, [2, 1]), rawsComponent(1))).toBe(ab);
  expect(digestOf(rawsComponent(1), rawsComponent(0, [1, 2]))).not.toBe(ab);
  expect(digestOf(rawsComponent(0, [1, 2]))).not.toBe(ab);
});

test.each([
  [3, "is validator 3's key in the other role too"],
  [4, "is validator 3's key too"],
])("the key of validator 3 is refused as the proposal key of validator %d", (other, message) => {
  const key = { validatorIndex: 3, publicKey: publicKey(3) };
  const proposal = { ...key, validatorIndex: other, role: KeyRole.PROPOSAL };
  const sent = snapshot(100, [mergeOf(rawsComponent(0))], [key, proposal]);
  expect(() => decodeSnapshot(create(SnapshotSchema, sent), ask, sizes)).toThrow(
    `snapshot.keys[1].public_key: ${message}`,
  );
});

const short = { claim: rawsComponent(2).claim, from: { case: "raws" as const, value: {} } };
const withShort = (bytes: number) => ({
  ...short,
  from: {
    case: "raws" as const,
    value: { signatures: [{ validatorIndex: 1, signature: new Uint8Array(bytes) }] },
  },
});

const ofOther = { ...proofComponent(2, proof), proofSystem: { scheme: "s", revision: "r2" } };

test("the proof system of a component is of its proof", () => {
  const withRaws = { ...rawsComponent(0), proofSystem: { scheme: "s" } };
  expect(() => decode([mergeOf(withRaws)])).toThrow(
    "snapshot.groups[0].components[0].proof_system: is for a proof",
  );
  const own = { ...proofComponent(0, proof), proofSystem: { scheme: "s", revision: "r" } };
  expect(decode([mergeOf(own)])[0]?.work.leftOut).toEqual([]);
});

test.each([
  ["a proof of another proof system", ofOther, "other_system", proof],
  ["an unknown signer", rawsComponent(2, [1, 31 + 9]), "unknown_key", inventedRaw(2, 40).signature],
  ["an unknown participant", proofComponent(2, proof, [1, 31]), "unknown_key", proof],
  ["a signature of a wrong length", withShort(63), "bad_signature", new Uint8Array(63)],
  ["an empty proof", proofComponent(2, new Uint8Array()), "bad_child", new Uint8Array()],
  ["a long proof", proofComponent(2, new Uint8Array(101)), "bad_child", new Uint8Array(101)],
])("%s names its component, and the merge never starts", (_what, bad, reason, bytes) => {
  const known = keysOfBothRoles().filter(({ validatorIndex }) => validatorIndex !== 31);
  const sent = snapshot(100, [mergeOf(rawsComponent(0), bad), mergeOf(rawsComponent(1))], known);
  const [group, other] = decodeSnapshot(create(SnapshotSchema, sent), ask, sizes);
  const input = { kind: "component", componentIndex: 1 };
  expect(group?.work).toMatchObject({
    components: [],
    leftOut: [{ reason, input, digest: sha256(bytes) }],
  });
  expect(group && mayStart(group)).toBe(false);
  expect(other && mayStart(other)).toBe(true);
  expect(group?.claims).toHaveLength(2);
});

test("a proof that is left out keeps its participants in the claim", () => {
  const [group] = decode([mergeOf(rawsComponent(0), proofComponent(1, new Uint8Array(), [2, 5]))]);
  expect(group?.claims[1]?.participants).toEqual(bits([2, 5]));
  expect(group?.claimVotes).toEqual([2, 2]);
});

test("a merge over the limit is accepted with its votes and claims, and without inputs", () => {
  const decoded = decode([0, 1, 2].map((n) => mergeOf(rawsComponent(n), rootComponent(100))));
  const over = decoded[2];
  expect(over).toMatchObject({
    isOverLimit: true,
    votes: 3,
    work: { components: [], leftOut: [] },
  });
  expect(over?.claims.map(({ signed }) => signed.case)).toEqual(["data", "root"]);
});

test("the inputs of components count against the limit of a snapshot", () => {
  const groups = [mergeOf(rawsComponent(0, [0, 1, 2, 3, 4, 5]), proofComponent(1, proof))];
  const more = [...groups, mergeOf(rawsComponent(2, [0, 1, 2, 3, 4, 5]))];
  expect(decode(groups)).toHaveLength(1);
  expect(() => decode(more)).toThrow(/have 13 raw signatures and proofs, at most 12/);
});

test("a snapshot of which all signatures have a wrong length is refused, naming the first", () => {
  expect(() => decode([mergeOf(proofComponent(0, proof), withShort(3))])).toThrow(
    "snapshot.groups[0].components[1].raws.signatures[0].signature: has 3 bytes",
  );
  expect(() => decode([mergeOf(proofComponent(0, new Uint8Array(101)))])).toThrow(
    "snapshot.groups[0].components[0].proof: has 101 bytes, and none of the 1 proofs has",
  );
});
