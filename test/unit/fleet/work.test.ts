/** Work crosses as it is, or is refused: by the prover's sizes, its digest, and whose keys it names. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeWork, encodeWork } from "../../../server/fleet/wire/codec.js";
import { limits } from "../../../server/limits.js";
import type { FoldWork } from "../../../server/work/group.js";
import { inputDigest } from "../../../server/work/input-digest.js";
import { refusal } from "./refusal.js";
import { groupWork, KEY_BYTES, keysOf, prover } from "./works.js";

type FoldSent = Omit<FoldWork, "leftOut">;
const decoded = (work: FoldSent, digest = inputDigest(work)) =>
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
      const read = decodeWork(bytes, inputDigest(sent), prover);
      bytes.fill(0);
      expect(read).toEqual(sent);
    }),
  );
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
    ["the prover takes 5", { ...work, children: Array.from({ length: 6 }, () => child) }],
    ["at most", withRaws([1, 2], keysOf([1, 2]), limits.snapshotBytesMax)],
  ])("for %s", (detail, wrong) => {
    expect(refusal(() => decoded(wrong)).message).toContain(detail);
  });

  test("when its digest names other work, which another door may wait for", () => {
    const digest = inputDigest({ ...work, logInvRate: 1 });
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
