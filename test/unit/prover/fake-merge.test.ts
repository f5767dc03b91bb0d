/** The fake prover merges as the real one does: exactly the claims wanted, in their order. */
import { beforeEach, expect, test } from "vitest";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import { foldedProof, foldJob } from "../../../server/prover/prover.js";
import type { ClaimedProof, KeyClaim, ProofJob, Prover } from "../../../server/prover/prover.js";
import type { Shape } from "../../../server/work/shape.js";

const key = (n: number) => new Uint8Array(32).fill(n);
const head = { root: new Uint8Array(32).fill(1), slot: 5 };
const block = { root: new Uint8Array(32).fill(2), slot: 6 };
const other = { root: new Uint8Array(32).fill(3), slot: 5 };

let prover: Prover;
let shapes: Shape[];
let child: ClaimedProof;

const signed = (message: typeof head, ...numbers: number[]) => ({
  ...message,
  keys: Buffer.concat(numbers.map(key)),
  signatures: Buffer.concat(numbers.map((n) => fakeSignature(key(n), message.root, message.slot))),
});

beforeEach(async () => {
  shapes = [];
  const proveMs = (shape: Shape) => (shapes.push(shape), 0);
  prover = startFakeProver({ proveMs, sleep: () => Promise.resolve() });
  const { keys, signatures } = signed(head, 1, 2);
  const inputs = { message: head, keys, signatures, children: [], logInvRate: 0 };
  child = foldedProof(head, { proof: await prover.prove(foldJob(inputs, keys)), keys });
});

const claim = ({ root, slot, keys }: KeyClaim): KeyClaim => ({ root, slot, keys });
const merge = (wanted: KeyClaim[], more: Partial<ProofJob> = {}): ProofJob => ({
  kind: "merge",
  logInvRate: 0,
  raws: [signed(block, 9)],
  children: [child],
  wanted,
  ...more,
});
const wanted = () => [...child.claims, claim(signed(block, 9))];

test("the merged proof attests the claims in the order wanted, and in no other", async () => {
  const orders = [wanted(), wanted().reverse()];
  for (const order of orders) {
    const bytes = await prover.prove(merge(order));
    const verified = orders.map((claims) => prover.verify({ kind: "merge", bytes, claims }));
    expect(await Promise.all(verified)).toEqual(orders.map((each) => each === order));
  }
});

test("a merge of one message is no fold of it", async () => {
  const bytes = await prover.prove(merge([...child.claims], { raws: [] }));
  expect(await prover.verify({ ...child, bytes })).toBe(false);
  expect(await prover.verify({ ...child, kind: "merge", bytes })).toBe(true);
  expect(await prover.verify({ ...child, kind: "merge" })).toBe(false);
});

test.each([
  ["lacks a message", () => wanted().slice(1)],
  ["has a message more", () => [...wanted(), claim(signed(other, 1))]],
  ["has a key less", () => [{ ...head, keys: key(1) }, ...wanted().slice(1)]],
  ["has a key more", () => [...wanted().slice(0, 1), claim(signed(block, 8, 9))]],
  [
    "has a message at another slot",
    () => [...wanted().slice(0, 1), { ...block, slot: 7, keys: key(9) }],
  ],
])("a merge whose list wanted %s is refused", async (_what, claims) => {
  const refused = { kind: "refused", message: "the claims wanted are not those of the inputs" };
  await expect(prover.prove(merge(claims()))).rejects.toMatchObject(refused);
});

test("a merge with a bad proof or signature is refused", async () => {
  const bytes = child.bytes.with(7, 0xff);
  const badChild = merge(wanted(), { children: [{ ...child, bytes }] });
  await expect(prover.prove(badChild)).rejects.toMatchObject({ kind: "refused" });
  const badRaw = { ...signed(block, 9), signatures: signed(other, 9).signatures };
  const raws = merge(wanted(), { raws: [badRaw] });
  await expect(prover.prove(raws)).rejects.toMatchObject({ kind: "refused" });
});

test("its time is that of its raw signatures and proofs", async () => {
  await prover.prove(merge(wanted()));
  expect(shapes.at(-1)).toEqual({ raws: 1, children: 1, messages: 2 });
});
