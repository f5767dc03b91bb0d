/** Work crosses as it is, or is refused: by the prover's sizes, its digest, and whose keys it names. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Work } from "../../../proto/gen/lean/fleet/v1/fleet_pb.js";
import { WorkSchema } from "../../../proto/gen/lean/fleet/v1/fleet_pb.js";
import { decodeWork, encodeWork } from "../../../server/fleet/wire/codec.js";
import { limits } from "../../../server/limits.js";
import type { ComponentWork, FoldWork, MergeWork, SentWork } from "../../../server/work/group.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import { refusal } from "./refusal.js";
import { groupWork, KEY_BYTES, keysOf, mergeWork, prover } from "./works.js";

type FoldSent = Omit<FoldWork, "leftOut">;
const decoded = (work: SentWork, digest = inputDigest(work, prover)) =>
  decodeWork(encodeWork(work), digest, prover);

/** The work with children numbered by their position. */
function numbered({ kind, message, raws, children, logInvRate }: FoldWork): FoldSent {
  const byPosition = children.map((child, index) => ({ ...child, index }));
  return { kind, message, raws, children: byPosition, logInvRate };
}

test("any work comes out as it went in, in memory of its own", () => {
  fc.assert(
    fc.property(groupWork, (work) => {
      const sent = numbered(work);
      const bytes = encodeWork(sent);
      const read = decodeWork(bytes, inputDigest(sent, prover), prover);
      bytes.fill(0);
      expect(read).toEqual(sent);
    }),
  );
});

test("any merge comes out as it went in, in memory of its own, and its order is kept", () => {
  fc.assert(
    fc.property(mergeWork, ({ kind, components, logInvRate }) => {
      const sent = { kind, components, logInvRate };
      const bytes = encodeWork(sent);
      const read = decodeWork(bytes, inputDigest(sent, prover), prover);
      bytes.fill(0);
      expect(read).toEqual(sent);
    }),
  );
});

describe("a merge is refused", () => {
  type Sent = Omit<MergeWork, "leftOut">;
  const message = (seed: number) => ({ root: new Uint8Array(32).fill(seed), slot: seed });
  const raws = (validators: number[], keys = keysOf(validators), bytes = 6 * validators.length) => {
    const from = { validators, keys, signatures: new Uint8Array(bytes) };
    return { kind: "raws", raws: from } as const;
  };
  const proof = (validators: number[], bytes = 9, keys = keysOf(validators)) => {
    const child = { index: 1, validators, keys, proof: new Uint8Array(bytes) };
    return { kind: "proof", child } as const;
  };
  const work = (...all: ComponentWork["from"][]): Sent => {
    const components = all.map((from, at) => ({ message: message(at), from }));
    return { kind: "merge", components, logInvRate: 0 };
  };
  const good = work(raws([1, 2]), proof([2, 3]));

  test("no fault: this one is taken", () => {
    expect(decoded(good)).toEqual(good);
  });

  test("no fault: a validator may sign two messages with two keys, one of each role", () => {
    const sent = work(raws([1, 2]), proof([1, 3], 9, keysOf([7, 3])));
    expect(decoded(sent)).toEqual(sent);
  });

  const [first] = good.components;
  const twice = first === undefined ? [] : [first, first];
  test.each<[string, Sent]>([
    ["merges a message twice", { ...good, components: twice }],
    ["has 9 messages, the prover merges 8", work(...Array.from({ length: 9 }, () => raws([1])))],
    ["a component of nobody", work(raws([]))],
    ["a child of nobody", work(raws([1]), proof([]))],
    ["bytes of signatures", work(raws([1, 2], keysOf([1, 2]), 11))],
    ["bytes of keys", work(raws([1, 2], keysOf([1])))],
    ["bytes of keys", work(raws([1]), proof([1, 2], 9, keysOf([1])))],
    ["a validator twice", work(raws([1, 1]))],
    ["two validators with one key", work(raws([1, 4], keysOf([1, 1])))],
    ["the prover takes 100", work(raws([1]), proof([1], 101))],
  ])("when it %s", (detail, wrong) => {
    expect(refusal(() => decoded(wrong)).message).toContain(detail);
  });

  test("by a prover that cannot merge", () => {
    const bytes = encodeWork(good);
    const without = { ...prover, messagesMax: 0 };
    const { message: why } = refusal(() => decodeWork(bytes, inputDigest(good, prover), without));
    expect(why).toBe("has 2 messages, the prover merges 0");
  });

  test("of another proof system, by its digest", () => {
    const digest = inputDigest(good, { ...prover, revision: "r2" });
    expect(refusal(() => decoded(good, digest)).message).toContain("another than its digest");
  });

  test("when its digest names another order", () => {
    const turned = { ...good, components: [...good.components].reverse() };
    const { message: why } = refusal(() => decoded(good, inputDigest(turned, prover)));
    expect(why).toContain("another than its digest");
  });

  test("when it is a fold too, has nothing, or has signatures and a proof of one message", () => {
    const refused = (change: (wire: Work) => void) =>
      refusal(() => {
        const wire = fromBinary(WorkSchema, encodeWork(good));
        change(wire);
        decodeWork(toBinary(WorkSchema, wire), inputDigest(good, prover), prover);
      }).message;
    const isBoth = "has components and inputs of a fold";
    expect(refused((wire) => (wire.root = new Uint8Array(32)))).toBe(isBoth);
    expect(refused((wire) => (wire.slot = 1))).toBe(isBoth);
    expect(refused((wire) => wire.validators.push(1))).toBe(isBoth);
    expect(refused((wire) => (wire.components = []))).toBe("has neither a message nor components");
    expect(
      refused(({ components }) => components.forEach((each) => (each.proof = new Uint8Array(9)))),
    ).toBe("has a component of signatures and a proof");
  });

  test("when it has more messages than there can be, before they are kept", () => {
    const many = Array.from({ length: limits.mergeMessagesMax + 1 }, () => raws([1]));
    const { field } = refusal(() => decoded(work(...many)));
    expect(field).toBe("components");
  });
});

describe("work is refused", () => {
  const child = { index: 0, validators: [2, 3], keys: keysOf([2, 3]), proof: Uint8Array.of(1) };
  const work: FoldSent = {
    kind: "fold",
    message: { root: new Uint8Array(32), slot: 1 },
    raws: { validators: [1, 2], keys: keysOf([1, 2]), signatures: new Uint8Array(12) },
    children: [child],
    logInvRate: 0,
  };
  const withChild = (change: Partial<typeof child>): FoldSent => {
    return { ...work, children: [{ ...child, ...change }] };
  };
  const withRaws = (validators: number[], keys: Uint8Array, signatureBytes = 12): FoldSent => {
    return { ...work, raws: { validators, keys, signatures: new Uint8Array(signatureBytes) } };
  };

  test("no fault: this one is taken", () => {
    expect(decoded(work)).toEqual(work);
  });

  test.each<[string, FoldSent]>([
    ["bytes of signatures", withRaws([1, 2], keysOf([1, 2]), 11)],
    ["bytes of keys", withRaws([1, 2], keysOf([1]))],
    ["bytes of keys", withChild({ keys: new Uint8Array(KEY_BYTES + 1) })],
    ["a validator twice", withRaws([1, 1], keysOf([1, 1]))],
    ["two keys of validator 2", withRaws([1, 2], keysOf([1, 5]))],
    ["two validators with one key", withRaws([1, 4], keysOf([1, 2]))],
    ["a child of nobody", withChild({ validators: [], keys: new Uint8Array() })],
    ["the prover takes 100", withChild({ proof: new Uint8Array(101) })],
    ["at most", withRaws([1, 2], keysOf([1, 2]), limits.snapshotBytesMax)],
  ])("for %s", (detail, wrong) => {
    expect(refusal(() => decoded(wrong)).message).toContain(detail);
  });

  test("when its digest names other work, which another door may wait for", () => {
    const digest = inputDigest({ ...work, logInvRate: 1 }, prover);
    expect(refusal(() => decoded(work, digest)).message).toContain("another than its digest");
  });

  test("when it has more validators or children than there can be, before they are kept", () => {
    const many = Array.from({ length: limits.validatorsMax + 1 }, (_, at) => at);
    expect(refusal(() => decoded(withRaws(many, new Uint8Array()))).field).toBe("validators");
    expect(refusal(() => decoded(withChild({ validators: many }))).field).toBe(
      "children.validators",
    );
    const children = Array.from({ length: limits.childrenMax + 1 }, () => child);
    expect(refusal(() => decoded({ ...work, children })).field).toBe("children");
  });
});
