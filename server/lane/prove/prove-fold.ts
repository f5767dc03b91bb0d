/**
 * Proves one message's inputs: verifies each of them, leaves the bad ones out and names them, chooses the
 * part that fits, leaves out the raw signatures that the part's children cover, proves the part, and
 * verifies the proof against exactly the keys expected.
 */
import { concat, sha256 } from "../../bytes.js";
import { foldedProof, foldJob } from "../../prover/prover.js";
import type {
  ChildWork,
  NotStartedReason,
  FoldWork,
  LeftOut,
  ProofResult,
  Raws,
} from "../../work/group.js";
import { tooFewInputs } from "../../work/inputs.js";
import type { Part } from "../../work/parts.js";
import type { ProverDescription } from "../../work/prover-description.js";
import { rawDigest } from "../../work/raw-digest.js";
import { provedAndVerified } from "./verified-proof.js";
import type { ProofModules } from "./verified-proof.js";

export interface ProveFoldModules extends ProofModules {
  /** Fewest inputs that are worth a proof: see `work/inputs.ts`. */
  minInputs: number;
  /** Called once the inputs are verified: the part to prove now, or why no proof may start. */
  choosePart(raws: Raws, children: readonly ChildWork[]): Part | NotStartedReason;
}

/** Resolves to how the attempt ended. Rejects with `ProverError`. */
export async function proveFold(group: FoldWork, modules: ProveFoldModules): Promise<ProofResult> {
  const { description } = modules;
  const leftOut: LeftOut[] = [];
  const goodChildren = await verifiedChildren(group, modules, leftOut);
  const goodRaws = await verifiedRaws(group, modules, leftOut);
  const part = modules.choosePart(goodRaws, goodChildren);
  const tooFew = tooFewInputs(group, leftOut, modules.minInputs);
  if (typeof part === "string") return tooFew ?? { kind: "not_started", reason: part, leftOut };

  const raws = partOfRaws(goodRaws, part, description, leftOut);
  const children = partOfChildren(goodChildren, part, leftOut);
  if (raws.validators.length === 0 && children.length < 2) {
    const anyBad = leftOut.some((input) => input.reason !== "covered");
    return { kind: anyBad ? "rejected" : "nothing_to_prove", leftOut };
  }
  if (tooFew !== undefined) return tooFew;

  const claim = expectedClaim(raws, children, description.publicKeyBytes);
  const { message, logInvRate } = group;
  const { keys, signatures } = raws;
  const job = foldJob({ message, keys, signatures, children, logInvRate }, claim.keys);
  const made = await provedAndVerified(job, modules);
  return {
    kind: "proved",
    ...made,
    validators: claim.validators,
    childrenFolded: children.map((child) => child.index),
    leftOut,
  };
}

/** The raw signatures of the part; those that are not in it are added to `leftOut`. */
function partOfRaws(
  raws: Raws,
  part: Part,
  description: ProverDescription,
  leftOut: LeftOut[],
): Raws {
  const kept = new Set(part.raws);
  const covered = new Set(part.covered);
  return keepRaws(raws, description, (validatorIndex, digest, at) => {
    if (kept.has(at)) return true;
    const reason = covered.has(at) ? "covered" : "shed";
    leftOut.push({ reason, input: { kind: "raw", validatorIndex }, digest: digest() });
    return false;
  });
}

function partOfChildren(children: readonly ChildWork[], part: Part, leftOut: LeftOut[]) {
  const kept = new Set(part.children);
  return children.filter(({ index, proof }, at) => {
    if (kept.has(at)) return true;
    const input = { kind: "child", childIndex: index } as const;
    leftOut.push({ reason: "shed", input, digest: sha256(proof) });
    return false;
  });
}

async function verifiedChildren(
  group: FoldWork,
  { verifier }: ProveFoldModules,
  leftOut: LeftOut[],
): Promise<ChildWork[]> {
  const good: ChildWork[] = [];
  for (const child of group.children) {
    const isValid = await verifier.verify(foldedProof(group.message, child));
    if (isValid) good.push(child);
    else {
      const input = { kind: "child", childIndex: child.index } as const;
      leftOut.push({ reason: "bad_child", input, digest: sha256(child.proof) });
    }
  }
  return good;
}

async function verifiedRaws(
  { raws, message }: FoldWork,
  { verifier, description }: ProveFoldModules,
  leftOut: LeftOut[],
): Promise<Raws> {
  if (raws.validators.length === 0) return raws;
  const verdicts = await verifier.verifySignatures({ ...message, ...raws });
  return keepRaws(raws, description, (validator, digest, at) => {
    const verdict = verdicts[at];
    if (verdict === "ok") return true;
    const reason = verdict === "wrong_leaf" ? "wrong_leaf" : "bad_signature";
    leftOut.push({ reason, input: { kind: "raw", validatorIndex: validator }, digest: digest() });
    return false;
  });
}

/** The raw signatures for which `keep` returns true, as `Raws`; `at` is the index in `raws`. */
function keepRaws(
  raws: Raws,
  description: ProverDescription,
  keep: (validator: number, digest: () => Uint8Array, at: number) => boolean,
): Raws {
  const { publicKeyBytes, signatureBytes } = description;
  const slice = (packed: Uint8Array, size: number, at: number) =>
    packed.subarray(at * size, (at + 1) * size);
  const kept = raws.validators
    .map((validator, at) => ({ validator, at }))
    .filter(({ validator, at }) => keep(validator, () => rawDigest(raws, at, description), at));
  if (kept.length === raws.validators.length) return raws;
  return {
    validators: kept.map(({ validator }) => validator),
    keys: concat(kept.map(({ at }) => slice(raws.keys, publicKeyBytes, at))),
    signatures: concat(kept.map(({ at }) => slice(raws.signatures, signatureBytes, at))),
  };
}

/** What the proof must attest: each validator of its inputs once, ascending, and their keys. */
function expectedClaim(raws: Raws, children: readonly ChildWork[], keyBytes: number) {
  const keyOf = new Map<number, Uint8Array>();
  for (const part of [raws, ...children]) {
    part.validators.forEach((validator, at) => {
      keyOf.set(validator, part.keys.subarray(at * keyBytes, (at + 1) * keyBytes));
    });
  }
  const validators = [...keyOf.keys()].sort((a, b) => a - b);
  return { validators, keys: concat(validators.flatMap((v) => keyOf.get(v) ?? [])) };
}
