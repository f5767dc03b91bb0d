/** Results cross by position: the door has them in its own numbers, or refuses the impossible. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sha256 } from "../../../../server/bytes.js";
import { blobOf } from "../../../../server/fleet/wire/blobs.js";
import { decodeToDoor, encodeToDoor } from "../../../../server/fleet/wire/codec.js";
import type { LeftOutAt, RemoteResult } from "../../../../server/fleet/wire/messages.js";
import { remoteResult, resultFrom } from "../../../../server/fleet/wire/result.js";
import { claimsOf } from "../../../../server/work/group.js";
import type { FoldWork, MergeWork } from "../../../../server/work/group.js";
import { refusal } from "../refusal.js";
import { attempted, attemptedMerge, groupWork, keysOf, mergeWork } from "../works.js";

const PROOF = Uint8Array.of(1);
const runs = { run: "0".repeat(16), doorRun: "1".repeat(16) };

/** The result after its way over the wire. */
function received(result: RemoteResult): RemoteResult {
  const message = { ...runs, kind: "ended", device: "cpu", attempt: 1, result } as const;
  const read = decodeToDoor(encodeToDoor(message));
  if (read.kind !== "ended") throw new Error("it is another message");
  return read.result;
}

describe("any result of any work", () => {
  test("comes back as it was, with the keys of its validators", () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(attempted, ({ work, result, proof }) => {
        kinds.add(result.kind);
        const back = resultFrom(received(remoteResult(result, work, blobOf)), work, proof);
        expect(back.result).toEqual(result);
        const validators = result.kind === "proved" ? result.validators : [];
        const keys = back.claims.map((claim) => claim.keys);
        expect(keys).toEqual(result.kind === "proved" ? [keysOf(validators)] : []);
      }),
      { numRuns: 1000 },
    );
    expect(kinds.size).toBe(6);
  });

  test("of a host that makes things up names only validators of the work, or is refused", () => {
    const leftOut = fc.array(
      fc.record({ isRaw: fc.boolean(), at: fc.nat(9), reason: fc.nat(4), isTrue: fc.boolean() }),
    );
    const kind = fc.constantFrom("proved", "rejected", "nothing_to_prove", "too_few_inputs");
    fc.assert(
      fc.property(groupWork, leftOut, kind, (work, out, named) => {
        const made = madeUp(madeUpOf(work, out), named);
        let result;
        try {
          ({ result } = resultFrom(made, work, Uint8Array.of(1)));
        } catch (error) {
          expect(
            refusal(() => {
              throw error;
            }).field,
          ).toBe("ended.result");
          return;
        }
        if (result.kind !== "proved") return;
        const all = [work.raws, ...work.children].flatMap(({ validators }) => validators);
        expect(all).toEqual(expect.arrayContaining([...result.validators]));
        expect(result.validators.length).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("any result of any merge", () => {
  test("comes back as it was, with the claims of its messages in their order", () => {
    const kinds = new Set<string>();
    fc.assert(
      fc.property(attemptedMerge, ({ work, result, proof }) => {
        kinds.add(result.kind);
        const back = resultFrom(received(remoteResult(result, work, blobOf)), work, proof);
        expect(back.result).toEqual(result);
        expect(back.claims).toEqual(result.kind === "proved" ? claimsOf(work) : []);
      }),
      { numRuns: 500 },
    );
    expect([...kinds].sort()).toEqual(["failed", "not_started", "proved", "rejected"]);
  });

  test("of a host that makes things up has all components, or names bad ones, or is refused", () => {
    const kind = fc.constantFrom("proved", "rejected", "nothing_to_prove", "too_few_inputs");
    const out = fc.array(fc.record({ at: fc.nat(9), reason: fc.nat(2), isTrue: fc.boolean() }));
    fc.assert(
      fc.property(mergeWork, out, kind, (work, drawn, named) => {
        const leftOut = drawn.map(({ at, reason, isTrue }): LeftOutAt => {
          const { from } = work.components[at] ?? {};
          const bytes = from?.kind === "proof" ? from.child.proof : from?.raws.signatures;
          return {
            reason: (["bad_signature", "wrong_leaf", "bad_child"] as const)[reason] ?? "shed",
            input: { kind: "component", at },
            digest: isTrue && bytes !== undefined ? sha256(bytes) : new Uint8Array(32),
          };
        });
        let taken;
        try {
          taken = resultFrom(madeUp(leftOut, named), work, PROOF);
        } catch (error) {
          expect(
            refusal(() => {
              throw error;
            }).field,
          ).toBe("ended.result");
          return;
        }
        const { result, claims } = taken;
        expect(["proved", "rejected"]).toContain(result.kind);
        expect(claims).toEqual(result.kind === "proved" ? claimsOf(work) : []);
      }),
      { numRuns: 1000 },
    );
  });
});

interface MadeUp {
  isRaw: boolean;
  at: number;
  reason: number;
  isTrue: boolean;
}

const reasons = ["bad_signature", "wrong_leaf", "bad_child", "covered", "shed"] as const;

function madeUpOf(work: FoldWork, out: readonly MadeUp[]): LeftOutAt[] {
  return out.map(({ isRaw, at, reason, isTrue }): LeftOutAt => {
    const bytes = isRaw
      ? work.raws.signatures.subarray(at * 6, at * 6 + 6)
      : (work.children[at]?.proof ?? new Uint8Array());
    return {
      reason: reasons[reason] ?? "shed",
      input: { kind: isRaw ? "raw" : "child", at },
      digest: isTrue ? sha256(bytes) : new Uint8Array(32),
    };
  });
}

function madeUp(leftOut: readonly LeftOutAt[], kind: string): RemoteResult {
  switch (kind) {
    case "proved":
      return { kind, proof: blobOf(Uint8Array.of(1)), proveMs: 1, leftOut };
    case "rejected":
    case "nothing_to_prove":
      return { kind, leftOut };
    default:
      return { kind: "too_few_inputs", inputs: 1, leftOut };
  }
}

describe("what no attempt at the work can give", () => {
  const work: FoldWork = {
    kind: "fold",
    message: { root: new Uint8Array(32), slot: 1 },
    raws: { validators: [11, 12], keys: keysOf([11, 12]), signatures: new Uint8Array(12) },
    children: [
      { index: 4, validators: [12, 13], keys: keysOf([12, 13]), proof: Uint8Array.of(1) },
      { index: 7, validators: [14], keys: keysOf([14]), proof: Uint8Array.of(2) },
    ],
    leftOut: [],
    logInvRate: 0,
  };
  const proof = blobOf(Uint8Array.of(1));
  const signature = sha256(new Uint8Array(6));
  const raw = (at: number, reason: LeftOutAt["reason"], digest = signature): LeftOutAt => {
    return { reason, input: { kind: "raw", at }, digest };
  };
  const child = (at: number, reason: LeftOutAt["reason"]): LeftOutAt => {
    const digest = sha256(Uint8Array.of(at + 1));
    return { reason, input: { kind: "child", at }, digest };
  };
  const component = (at: number, reason: LeftOutAt["reason"], of = 1): LeftOutAt => {
    return { reason, input: { kind: "component", at }, digest: sha256(Uint8Array.of(of)) };
  };
  const proved = (...leftOut: LeftOutAt[]): RemoteResult => {
    return { kind: "proved", proof, proveMs: 1, leftOut };
  };
  const all = [raw(0, "shed"), raw(1, "shed")];

  test.each<[string, RemoteResult]>([
    ["nothing is left to prove", proved(...all, child(0, "shed"), child(1, "shed"))],
    ["nothing is left to prove", proved(...all, child(0, "bad_child"))],
    ["the work has no raw signature 2", proved(raw(2, "shed"))],
    ["the work has no child 2", proved(child(2, "shed"))],
    ["another SHA-256", proved(raw(0, "shed", new Uint8Array(32)))],
    ["covered by no child", proved(raw(0, "covered"))],
    ["covered by no child", proved(raw(1, "covered"), child(0, "shed"))],
    ["something is left to prove", { kind: "rejected", leftOut: [raw(0, "bad_signature")] }],
    ["something is left to prove", { kind: "nothing_to_prove", leftOut: [] }],
    ["but shed", { kind: "rejected", leftOut: [...all, child(0, "bad_child")] }],
    [
      "does not fit",
      {
        kind: "nothing_to_prove",
        leftOut: [raw(0, "wrong_leaf"), raw(1, "covered"), child(1, "bad_child")],
      },
    ],
    ["another reason", { kind: "not_started", reason: "deadline", leftOut: all }],
    ["another reason", { kind: "too_few_inputs", inputs: 3, leftOut: [raw(1, "covered")] }],
    ["a fold has no components", { kind: "rejected", leftOut: [component(0, "bad_child")] }],
    ["3 inputs are left, not 1", { kind: "too_few_inputs", inputs: 1, leftOut: [] }],
  ])("is refused: %s", (detail, result) => {
    const { field, message } = refusal(() => resultFrom(result, work, Uint8Array.of(1)));
    expect([field, message]).toEqual(["ended.result", expect.stringContaining(detail)]);
  });

  const [child0] = work.children;
  const merge: MergeWork = {
    kind: "merge",
    components: [
      { message: work.message, from: { kind: "raws", raws: work.raws } },
      ...(child0 === undefined
        ? []
        : [
            {
              message: { ...work.message, slot: 2 },
              from: { kind: "proof", child: child0 } as const,
            },
          ]),
    ],
    leftOut: [],
    logInvRate: 0,
  };
  const rejected = (...leftOut: LeftOutAt[]): RemoteResult => ({ kind: "rejected", leftOut });
  test.each<[string, RemoteResult]>([
    ["proved, but a component is left out", proved(component(1, "bad_child"))],
    ["no component is left out", rejected()],
    ["the work has no component 2", rejected(component(2, "bad_child"))],
    ["component 0 is not bad_child", rejected(component(0, "bad_child"))],
    ["component 1 is not bad_signature", rejected(component(1, "bad_signature"))],
    ["another SHA-256", rejected(component(1, "bad_child", 2))],
    ["another SHA-256", rejected(component(0, "wrong_leaf"))],
    ["a merge has no raw of its own", rejected(raw(0, "bad_signature"))],
    ["a merge is not nothing_to_prove", { kind: "nothing_to_prove", leftOut: [] }],
    ["a merge is not too_few_inputs", { kind: "too_few_inputs", inputs: 1, leftOut: [] }],
    [
      "not_started, but a component is left out",
      { kind: "not_started", reason: "deadline", leftOut: [component(1, "bad_child")] },
    ],
  ])("is refused of a merge: %s", (detail, result) => {
    const { field, message } = refusal(() => resultFrom(result, merge, PROOF));
    expect([field, message]).toEqual(["ended.result", expect.stringContaining(detail)]);
  });

  test("signatures that are a SHA-256 already name themselves", () => {
    const raws = { validators: [1, 2], keys: keysOf([1, 2]), signatures: new Uint8Array(64) };
    const named = raw(0, "bad_signature", new Uint8Array(32));
    const { result } = resultFrom(proved(named), { ...work, raws, children: [] }, PROOF);
    expect(result).toMatchObject({ validators: [2] });
  });
});
