/** Which requests under one id are the same request. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { contentOf } from "../../../server/admission/content-digest.js";

type Init = MessageInitShape<typeof SubmitSnapshotRequestSchema>;

const bytes = (...values: number[]) => Uint8Array.from(values);
const root = new Uint8Array(32);
const vote = (validatorIndex: number, ...signature: number[]) => ({
  validatorIndex,
  signature: bytes(...signature),
});
const key = (validatorIndex: number, ...publicKey: number[]) => ({
  validatorIndex,
  publicKey: bytes(...publicKey),
});
const child = (participants: number, proof: number) => ({
  participants: bytes(participants),
  proof: bytes(proof),
});

const keys = [key(0, 1), key(1, 2)];
const groups = [
  {
    data: { slot: 5n },
    rawSignatures: [vote(0, 1, 2), vote(1, 3, 4)],
    children: [child(1, 9), child(2, 8)],
  },
  { data: { slot: 6n }, rawSignatures: [vote(0, 5, 6)], children: [] },
];
const base: Exclude<Init, { $typeName: string }> = {
  node: { nodeId: "n", nodeEpoch: 7n },
  requestId: "r",
  snapshot: { slot: 5n, head: { root, slot: 5n }, keys, groups },
};
const [first, second] = groups as [(typeof groups)[0], (typeof groups)[0]];
const digest = (init: Init) => contentOf(create(SubmitSnapshotRequestSchema, init)).digest;
const withGroups = (...of: unknown[]) =>
  ({ ...base, snapshot: { ...base.snapshot, groups: of } }) as Init;
const withKeys = (...of: unknown[]) =>
  ({ ...base, snapshot: { ...base.snapshot, keys: of } }) as Init;

test("a retry with other budgets is the same request", () => {
  expect(digest({ ...base, deadlineMs: 10, fenceMs: 20 })).toBe(digest(base));
  const steps = (untilMs: number) => ({ ...base, steps: [{ untilMs, weight: 2 }] });
  expect(digest(steps(10))).toBe(digest(steps(20)));
});

test.each<[string, Init]>([
  ["another node", { ...base, node: { nodeId: "m", nodeEpoch: 7n } }],
  ["another epoch", { ...base, node: { nodeId: "n", nodeEpoch: 8n } }],
  ["another priority", { ...base, priority: 3 }],
  ["another number of inputs", { ...base, minInputs: 2 }],
  ["another step", { ...base, steps: [{ untilMs: 0, weight: 2 }] }],
  ["SSZ bitlists", { ...base, snapshot: { ...base.snapshot, sszBitlists: true } }],
  ["no snapshot", { ...base, snapshot: undefined as never }],
  ["another slot", { ...base, snapshot: { ...base.snapshot, slot: 6n } as never }],
  ["another key", withKeys(key(0, 1), key(1, 3))],
  ["a key of another validator", withKeys(key(0, 1), key(2, 2))],
  ["a key less", withKeys(key(0, 1))],
  ["keys in another order", withKeys(...[...keys].reverse())],
  ["bytes moved between neighbouring keys", withKeys(key(0), key(1, 1, 2))],
  ["another attestation data", withGroups({ ...first, data: { slot: 7n } }, second)],
  ["groups in another order", withGroups(second, first)],
  ["a group less", withGroups(first)],
  [
    "another signature",
    withGroups({ ...first, rawSignatures: [vote(0, 1, 2), vote(1, 3, 5)] }, second),
  ],
  [
    "a byte moved to the next signature",
    withGroups({ ...first, rawSignatures: [vote(0, 1), vote(1, 2, 3, 4)] }, second),
  ],
  [
    "a vote moved to the next group",
    withGroups(
      { ...first, rawSignatures: [vote(0, 1, 2)] },
      { ...second, rawSignatures: [vote(1, 3, 4), vote(0, 5, 6)] },
    ),
  ],
  ["another proof", withGroups({ ...first, children: [child(1, 9), child(2, 7)] }, second)],
  [
    "another child's validators",
    withGroups({ ...first, children: [child(3, 9), child(2, 8)] }, second),
  ],
  [
    "another child's proof system",
    withGroups(
      { ...first, children: [{ ...child(1, 9), proofSystem: { revision: "r2" } }, child(2, 8)] },
      second,
    ),
  ],
  [
    "children moved to the next group",
    withGroups({ ...first, children: [] }, { ...second, children: first.children }),
  ],
])("%s makes it another request", (_what, init) => {
  expect(digest(init)).not.toBe(digest(base));
});

const component = (slot: bigint, participants: number[], ...from: unknown[]) => ({
  claim: { signed: { case: "data", value: { slot } }, participants: bytes(...participants) },
  from: { case: from[0], value: from[1] },
});
const ofProof = component(5n, [3], "proof", bytes(9, 8));
const ofRaws = component(6n, [], "raws", { signatures: [vote(0, 1, 2), vote(1, 3)] });
const merged = withGroups({ kind: 2, components: [ofProof, ofRaws] });

test.each<[string, Init]>([
  ["components in another order", withGroups({ kind: 2, components: [ofRaws, ofProof] })],
  ["a component less", withGroups({ kind: 2, components: [ofProof] })],
  [
    "components of two groups",
    withGroups({ kind: 2, components: [ofProof] }, { kind: 2, components: [ofRaws] }),
  ],
  [
    "another message",
    withGroups({ kind: 2, components: [{ ...ofProof, claim: ofRaws.claim }, ofRaws] }),
  ],
  [
    "another role",
    withGroups({
      kind: 2,
      components: [{ ...ofProof, claim: { ...ofProof.claim, role: 2 } }, ofRaws],
    }),
  ],
  [
    "another proof",
    withGroups({ kind: 2, components: [component(5n, [3], "proof", bytes(9, 7)), ofRaws] }),
  ],
  [
    "another participant",
    withGroups({ kind: 2, components: [component(5n, [1], "proof", bytes(9, 8)), ofRaws] }),
  ],
  [
    "a byte moved from the participants to the proof",
    withGroups({ kind: 2, components: [component(5n, [], "proof", bytes(3, 9, 8)), ofRaws] }),
  ],
  [
    "another signature",
    withGroups({
      kind: 2,
      components: [ofProof, component(6n, [], "raws", { signatures: [vote(0, 1, 2), vote(1, 4)] })],
    }),
  ],
])("%s makes another request of a merge", (_what, init) => {
  expect(digest(init)).not.toBe(digest(merged));
  expect(digest({ ...init, deadlineMs: 5 })).toBe(digest(init));
});

test("a key of another role makes another request", () => {
  const of = (role: number) => digest(withKeys({ ...key(0, 1), role }));
  expect(of(2)).not.toBe(of(1));
});

test("the size is within a twentieth of the encoding", () => {
  const rawSignatures = Array.from({ length: 50 }, (_, i) => ({
    validatorIndex: i,
    signature: new Uint8Array(2404),
  }));
  const message = create(SubmitSnapshotRequestSchema, withGroups({ rawSignatures }));
  const encoded = toBinary(SubmitSnapshotRequestSchema, message).length;
  expect(contentOf(message).bytes / encoded).toBeCloseTo(1, 1);
  const inRaws = withGroups({
    components: [component(5n, [], "raws", { signatures: rawSignatures })],
  });
  const ofMerge = create(SubmitSnapshotRequestSchema, inRaws);
  const length = toBinary(SubmitSnapshotRequestSchema, ofMerge).length;
  expect(contentOf(ofMerge).bytes / length).toBeCloseTo(1, 1);
});
