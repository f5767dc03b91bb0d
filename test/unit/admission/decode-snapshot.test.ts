/** Decoding a snapshot: more than any has is refused by its field, before it costs anything. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { Priority, SnapshotSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, encodeSszBitlist } from "../../../proto/bitlist.js";
import { decodeSnapshot } from "../../../server/admission/decode-snapshot.js";
import { inventedData, inventedGroup, inventedRaw } from "../../../tools/harness/wire/contract.js";
import { bits, keyTable, publicKey, snapshot } from "../../../tools/harness/vectors.js";
import type { GroupInit } from "../../../tools/harness/vectors.js";
import { foldOf } from "../../../tools/harness/decoded-group.js";

const few = {
  groupsMax: 2,
  groupsSentMax: 4,
  validatorsMax: 8,
  inputsMax: 12,
  participantsMax: 6,
  childrenMax: 2,
  messagesMax: 3,
};
const sizes = {
  ...few,
  proofBytesMax: 100,
  publicKeyBytes: 32,
  signatureBytes: 64,
  scheme: "xmss",
  revision: "r1",
};
const ask = { logInvRate: 0, priority: Priority.AGGREGATION };
const decode = (groups: GroupInit[], keys = keyTable(8)) =>
  decodeSnapshot(create(SnapshotSchema, snapshot(100, groups, keys)), ask, sizes);

const many = <T>(count: number, each: (at: number) => T) =>
  Array.from({ length: count }, (_, at) => each(at));
/** Signers whom the key table does not have. */
const unknown = (count: number) =>
  many(count, (at) => ({ validatorIndex: 100 + at, signature: new Uint8Array(64) }));
const child = { participants: bits([0]), proof: new Uint8Array(1) };

test("a snapshot of the maximum size is decoded, and each unknown signer named", () => {
  const groups = many(4, (at) => ({ data: inventedData(at), rawSignatures: unknown(3) }));
  const [first] = decode(groups);
  expect(first?.work.leftOut.map(({ reason }) => reason)).toEqual(Array(3).fill("unknown_key"));
  const [all] = decode([{ data: inventedData(0), rawSignatures: unknown(8) }]);
  expect(all?.work.leftOut).toHaveLength(8);
});

// Without attestation data, which would be refused as soon as it was looked at.
test.each<[string, GroupInit[], string]>([
  [
    "more groups than may be sent",
    many(5, () => ({})),
    "snapshot.groups: has 5 entries, at most 4",
  ],
  [
    "more raw signatures than there are validators",
    [{}, { rawSignatures: unknown(9) }],
    "snapshot.groups[1].raw_signatures: has 9 entries, at most one for each of 8 validators",
  ],
  [
    "more inputs in all than a snapshot has",
    [
      { rawSignatures: unknown(6), children: [child] },
      { rawSignatures: unknown(4), children: [child, child] },
    ],
    "snapshot.groups: have 13 raw signatures and proofs, at most 12",
  ],
  [
    "children of more validators in all than are worth their keys",
    [
      { children: [{ ...child, participants: bits([0, 3, 5, 7]) }] },
      { children: [{ ...child, participants: bits([0, 1, 2]) }] },
      // Of a group over the limit nothing is decoded.
      { children: [{ ...child, participants: bits([0, 1, 2]) }] },
    ],
    "snapshot.groups: have children of 7 validators in all, at most 6",
  ],
])("%s are refused before any of it is looked at", (_what, groups, message) => {
  expect(() => decode(groups)).toThrow(
    expect.objectContaining({ kind: "invalid_argument", message }),
  );
});

test("a group over the limit is accepted, and its inputs are not decoded", () => {
  const decoded = decode([
    inventedGroup(0),
    inventedGroup(1),
    { ...inventedGroup(2), rawSignatures: unknown(2), children: [child] },
  ]);
  expect(decoded.map(({ isOverLimit }) => isOverLimit)).toEqual([false, false, true]);
  expect(decoded[2]?.work).toMatchObject({ leftOut: [], children: [], raws: { validators: [] } });
});

test("a child over the limit is named, and its participants are not looked up", () => {
  const unknowns = { participants: bits([7]), proof: new Uint8Array(1) };
  const children = [child, unknowns, unknowns];
  const [group] = decode([{ data: inventedData(0), children }], keyTable(4));
  expect(foldOf(group?.work).children).toHaveLength(1);
  expect(group?.work.leftOut.map(({ reason }) => reason)).toEqual(["unknown_key", "bad_child"]);
});

test("a child of another proof system is left out for that, whatever else is wrong with it", () => {
  const said = (scheme: string, revision: string) => {
    return { participants: bits([7]), proof: new Uint8Array(), proofSystem: { scheme, revision } };
  };
  const children = [said("", "r2"), said("xmss", "r1"), said("xmss", "r2"), said("bls", "")];
  const [group] = decode([{ data: inventedData(0), rawSignatures: [inventedRaw(0, 1)], children }]);
  expect(group?.work.leftOut.map(({ reason, input }) => [reason, input])).toEqual(
    ["other_system", "bad_child", "other_system", "other_system"].map((reason, childIndex) => {
      return [reason, { kind: "child", childIndex }];
    }),
  );
  expect(bitsToIndices(group?.votesLeftOut.other_system ?? bits([]))).toEqual([7]);
});

test("malformed keys are omitted, and may be equal", () => {
  const publicKey = new Uint8Array();
  const malformed = [5, 6].map((validatorIndex) => ({ validatorIndex, publicKey }));
  const [group] = decode([inventedGroup(0, [0, 5])], [...keyTable(2), ...malformed]);
  expect(foldOf(group?.work).raws.validators).toEqual([0]);
  expect(group?.work.leftOut.map(({ reason }) => reason)).toEqual(["unknown_key"]);
});

test("equal inputs of two proof systems are two works", () => {
  const groups = [{ data: inventedData(0), rawSignatures: [inventedRaw(0, 1)] }];
  const sent = create(SnapshotSchema, snapshot(100, groups, keyTable(8)));
  const digestOf = (revision: string) =>
    decodeSnapshot(sent, ask, { ...sizes, revision })[0]?.digest;
  expect(digestOf("r2")).not.toBe(digestOf("r1"));
  expect(digestOf("r1")).toBe(digestOf("r1"));
});

test("inputs are sorted by their keys, each with its own validator", () => {
  const of = (validators: number[]) => {
    const rawSignatures = validators.map((validator) => inventedRaw(0, validator));
    const children = [{ participants: bits(validators), proof: new Uint8Array(1) }];
    return decode([{ data: inventedData(0), rawSignatures, children }])[0];
  };
  const group = of([1, 5, 2, 7]);
  const { raws, children } = foldOf(group?.work);
  const sorted = [1, 2, 5, 7].sort((a, b) => Buffer.compare(publicKey(a), publicKey(b)));
  const keys = new Uint8Array(Buffer.concat(sorted.map(publicKey)));
  expect(raws).toMatchObject({ validators: sorted, keys });
  expect(children).toMatchObject([{ validators: sorted, keys }]);
  const signatures = sorted.map((validator) => inventedRaw(0, validator).signature);
  expect(raws?.signatures).toEqual(new Uint8Array(Buffer.concat(signatures)));
  expect(of([7, 2, 5, 1])?.digest).toBe(group?.digest);
  expect(of([7, 2, 5])?.digest).not.toBe(group?.digest);
});

test("SSZ bitlists give the work of bits alone, and the longest length", () => {
  const of = (sszBitlists: boolean, ...participants: Uint8Array[]) => {
    const children = participants.map((each, at) => ({
      participants: each,
      proof: Uint8Array.of(at + 1),
    }));
    const groups = [{ data: inventedData(0), children }, inventedGroup(1)];
    const message = create(SnapshotSchema, { ...snapshot(100, groups, keyTable(8)), sszBitlists });
    return decodeSnapshot(message, ask, sizes);
  };
  const plain = of(false, bits([0, 2]), bits([1]));
  const ssz = of(true, encodeSszBitlist([0, 2], 3), encodeSszBitlist([1], 8));
  expect(ssz.map(({ digest, votes }) => [digest, votes])).toEqual(
    plain.map(({ digest, votes }) => [digest, votes]),
  );
  expect(plain.map(({ sszLength }) => sszLength)).toEqual([undefined, undefined]);
  expect(ssz.map(({ sszLength }) => sszLength)).toEqual([8, 8]);
});

test("the votes of a group are the validators of all that was sent, each once", () => {
  const children = [
    { participants: bits([0, 1]), proof: new Uint8Array(1) },
    { participants: bits([1, 7]), proof: new Uint8Array(1) },
    { participants: bits([5]), proof: new Uint8Array(1) },
  ];
  const rawSignatures = [...unknown(2), ...unknown(1), inventedRaw(0, 1), inventedRaw(0, 2)];
  const groups = [0, 1, 2].map((n) => ({ data: inventedData(n), rawSignatures, children }));
  const decoded = decode(groups.slice(0, 1), keyTable(4));
  expect(decoded.map(({ votes }) => votes)).toEqual([2 + 1 + 4]);
  const [group] = decoded;
  expect(bitsToIndices(group?.votesLeftOut.unknown_key ?? bits([]))).toEqual([1, 7]);
  expect(bitsToIndices(group?.votesLeftOut.bad_child ?? bits([]))).toEqual([5]);
});

test("a group over the limit has its votes too", () => {
  const decoded = decode([inventedGroup(0), inventedGroup(1), inventedGroup(2, [0, 1, 3])]);
  expect(decoded.map(({ isOverLimit, votes }) => [isOverLimit, votes])).toEqual([
    ...[[false, 2]],
    ...[[false, 2]],
    ...[[true, 3]],
  ]);
});
