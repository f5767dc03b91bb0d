/** Random works and the results that an attempt at them can have, for property tests. */
import fc from "fast-check";
import { concat, sha256 } from "../../../server/bytes.js";
import type {
  ChildWork,
  ComponentWork,
  FoldWork,
  LeftOut,
  MergeWork,
  ProofResult,
} from "../../../server/work/group.js";
import { countInputs } from "../../../server/work/inputs.js";
import type { ProverDescription } from "../../../server/work/prover-description.js";

export const KEY_BYTES = 4;
const SIGNATURE_BYTES = 6;

export const prover: ProverDescription = {
  backend: "b",
  scheme: "s",
  revision: "r",
  publicKeyBytes: KEY_BYTES,
  signatureBytes: SIGNATURE_BYTES,
  proofBytesMax: 100,
  childrenMax: 5,
  messagesMax: 8,
  rates: 0,
  fake: false,
};

/** The key of a validator: of each another one. */
const keyOf = (validator: number) => {
  const key = Buffer.alloc(KEY_BYTES);
  key.writeUInt32BE(validator ^ 0xa5a5);
  return new Uint8Array(key);
};
export const keysOf = (validators: readonly number[]) => concat(validators.map(keyOf));

const members = (minLength: number) => fc.uniqueArray(fc.nat(12), { minLength, maxLength: 8 });

/** Children have other indices than positions, as where decoding has left some out. */
export const groupWork: fc.Arbitrary<FoldWork> = fc
  .record({
    raws: members(0),
    children: fc.array(members(1), { maxLength: 4 }),
    indices: fc.uniqueArray(fc.nat(60), { minLength: 4, maxLength: 4 }),
    seed: fc.nat(200),
    slot: fc.nat(0xffff_ffff),
    logInvRate: fc.nat(31),
  })
  .map(({ raws, children, indices, seed, slot, logInvRate }) => ({
    kind: "fold",
    message: { root: new Uint8Array(32).fill(seed), slot },
    raws: {
      validators: raws,
      keys: keysOf(raws),
      signatures: Uint8Array.from({ length: raws.length * SIGNATURE_BYTES }, (_, at) => seed + at),
    },
    children: children.map((validators, at): ChildWork => ({
      index: indices[at] ?? at,
      validators,
      keys: keysOf(validators),
      proof: new Uint8Array(9 + at).fill(seed),
    })),
    leftOut: [],
    logInvRate,
  }));

const component = fc
  .record({ isProof: fc.boolean(), validators: members(1), byte: fc.nat(255) })
  .map(({ isProof, validators, byte }): ComponentWork["from"] => {
    const keys = keysOf(validators);
    if (isProof) {
      const child = { index: 0, validators, keys, proof: new Uint8Array(9).fill(byte) };
      return { kind: "proof", child };
    }
    const length = validators.length * SIGNATURE_BYTES;
    const signatures = Uint8Array.from({ length }, (_, at) => byte + at);
    return { kind: "raws", raws: { validators, keys, signatures } };
  });

/** Each message has another root or another slot. */
export const mergeWork: fc.Arbitrary<MergeWork> = fc
  .record({
    all: fc.array(component, { minLength: 1, maxLength: prover.messagesMax }),
    seed: fc.nat(200),
    hasOneRoot: fc.boolean(),
    logInvRate: fc.nat(31),
  })
  .map(({ all, seed, hasOneRoot, logInvRate }) => ({
    kind: "merge",
    components: all.map((from, at) => ({
      message: { root: new Uint8Array(32).fill(seed + (hasOneRoot ? 0 : at)), slot: at },
      from: from.kind === "raws" ? from : { ...from, child: { ...from.child, index: at } },
    })),
    leftOut: [],
    logInvRate,
  }));

/** The result of an attempt at the merge of which the components drawn are bad. */
export const attemptedMerge = fc
  .record({ work: mergeWork, bad: fc.array(fc.nat(7)), ends: fc.nat(2) })
  .map(({ work, bad, ends }) => {
    const leftOut = work.components.flatMap((each, at) =>
      bad.includes(at) ? [leftOutOf(each, at)] : [],
    );
    return { work, result: mergeResultOf(leftOut, ends), proof: Uint8Array.of(1, 2, 3) };
  });

function mergeResultOf(leftOut: readonly LeftOut[], ends: number): ProofResult {
  if (ends === 1) return { kind: "failed", reason: "prover_error", detail: "no", deaths: 0 };
  if (leftOut.length > 0) return { kind: "rejected", leftOut };
  if (ends === 2) return { kind: "not_started", reason: "predicted_miss", leftOut };
  const all = { validators: [], childrenFolded: [], leftOut };
  return { kind: "proved", proof: Uint8Array.of(1, 2, 3), proveMs: 12.5, ...all };
}

function leftOutOf({ from }: ComponentWork, componentIndex: number): LeftOut {
  const input = { kind: "component", componentIndex } as const;
  if (from.kind === "proof")
    return { reason: "bad_child", input, digest: sha256(from.child.proof) };
  const digest = sha256(from.raws.signatures.subarray(-SIGNATURE_BYTES));
  return { reason: "bad_signature", input, digest };
}

type Fate = "kept" | "bad" | "shed";
const fates = fc.array(fc.constantFrom<Fate>("kept", "kept", "bad", "shed"), {
  minLength: 16,
  maxLength: 16,
});

/** The result of an attempt at the work in which each input fares as drawn, as `proveGroup` has it. */
export const attempted = fc
  .record({ work: groupWork, raws: fates, children: fates, ends: fc.nat(3) })
  .map(({ work, raws, children, ends }) => {
    const result = resultOf(work, raws, children, ends);
    return { work, result, proof: result.kind === "proved" ? result.proof : new Uint8Array() };
  });

function resultOf(
  work: FoldWork,
  rawFates: readonly Fate[],
  childFates: readonly Fate[],
  ends: number,
): ProofResult {
  const bad = [
    ...childrenOut(work, (at) => childFates[at] === "bad", "bad_child"),
    ...rawsOut(work, (at) => rawFates[at] === "bad", "bad_signature"),
  ];
  if (ends === 1) return { kind: "not_started", reason: "deadline", leftOut: bad };
  if (ends === 2) return { kind: "too_few_inputs", inputs: countInputs(work, bad), leftOut: bad };
  if (ends === 3) return { kind: "failed", reason: "prover_died", detail: "killed", deaths: 1 };

  const kept = work.children.filter((_, at) => childFates[at] === "kept");
  const inChildren = new Set(kept.flatMap(({ validators }) => validators));
  const isCovered = (at: number) => inChildren.has(work.raws.validators[at] ?? -1);
  const isGood = (at: number) => rawFates[at] !== "bad";
  const covered = rawsOut(work, (at) => isGood(at) && isCovered(at), "covered");
  const shed = [
    ...rawsOut(work, (at) => rawFates[at] === "shed" && !isCovered(at), "shed"),
    ...childrenOut(work, (at) => childFates[at] === "shed", "shed"),
  ];
  const raws = work.raws.validators.filter((_, at) => rawFates[at] === "kept" && !isCovered(at));
  const leftOut = [...bad, ...covered, ...shed];
  if (raws.length === 0 && kept.length < 2) {
    // The whole of a group that cannot be proved is looked at: nothing of it is shed.
    const looked = [...bad, ...covered];
    const isAll = shed.length === 0;
    if (!isAll) return { kind: "not_started", reason: "predicted_miss", leftOut: bad };
    const isBad = bad.length > 0;
    return { kind: isBad ? "rejected" : "nothing_to_prove", leftOut: looked };
  }
  return {
    kind: "proved",
    proof: Uint8Array.of(1, 2, 3),
    validators: [...new Set([...raws, ...inChildren])].sort((a, b) => a - b),
    childrenFolded: kept.map(({ index }) => index),
    leftOut,
    proveMs: 12.5,
  };
}

function rawsOut(
  { raws }: FoldWork,
  isOut: (at: number) => boolean,
  reason: LeftOut["reason"],
): LeftOut[] {
  return raws.validators.flatMap((validatorIndex, at): LeftOut[] => {
    if (!isOut(at)) return [];
    const from = at * SIGNATURE_BYTES;
    const digest = sha256(raws.signatures.subarray(from, from + SIGNATURE_BYTES));
    return [{ reason, input: { kind: "raw", validatorIndex }, digest }];
  });
}

function childrenOut(
  { children }: FoldWork,
  isOut: (at: number) => boolean,
  reason: LeftOut["reason"],
): LeftOut[] {
  return children.flatMap(({ index, proof }, at): LeftOut[] =>
    isOut(at)
      ? [{ reason, input: { kind: "child", childIndex: index }, digest: sha256(proof) }]
      : [],
  );
}
