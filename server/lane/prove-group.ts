/**
 * Proves one group: verifies every input, leaves the bad ones out and names them, chooses the part
 * that fits, leaves out the raw signatures that the part's children cover, proves the part, and
 * verifies the proof against exactly the keys expected. Called for a lane's current attempt. The
 * result does not repeat the inputs that decoding left out.
 */
import { concat, sha256 } from "../bytes.js";
import { foldedProof, foldJob } from "../prover/prover.js";
import type { ProofJob } from "../prover/prover.js";
import type { ProverDescription } from "../work/prover-description.js";
import { ProverError } from "../prover/prover.js";
import type { Verifier } from "./verifier.js";
import type {
  ChildWork,
  NotStartedReason,
  FoldWork,
  GroupWork,
  LeftOut,
  ProofResult,
  Raws,
  VerifiedBy,
} from "../work/group.js";
import { tooFewInputs } from "../work/inputs.js";
import type { Part } from "../work/parts.js";

export interface ProveGroupModules {
  description: ProverDescription;
  verifier: Verifier;
  /** Who has answered last for `verifier`. */
  verifiedBy(): VerifiedBy;
  /** Fewest inputs that are worth a proof: see `work/inputs.ts`. */
  minInputs: number;
  /** Called once the inputs are verified: the part to prove now, or why no proof may start. */
  choosePart(raws: Raws, children: readonly ChildWork[]): Part | NotStartedReason;
  /** Makes the proof, in `proveMs` milliseconds. Rejects with `ProverError`. */
  prove(job: ProofJob): Promise<{ proof: Uint8Array; proveMs: number }>;
}

/** Resolves to how the attempt ended; a `ProverError` becomes a `failed` result. */
export async function proveGroup(
  group: GroupWork,
  modules: ProveGroupModules,
): Promise<ProofResult> {
  try {
    if (group.kind === "merge") throw new ProverError("internal", "merges are not built yet");
    return await attemptGroup(group, modules);
  } catch (error) {
    if (!(error instanceof ProverError)) throw error;
    const reason = error.kind === "died" ? "prover_died" : "prover_error";
    return { kind: "failed", reason, detail: error.message, deaths: modules.verifier.deaths };
  }
}

async function attemptGroup(group: FoldWork, modules: ProveGroupModules): Promise<ProofResult> {
  const { description, verifier } = modules;
  const leftOut: LeftOut[] = [];
  const goodChildren = await verifiedChildren(group, verifier, leftOut);
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
  const { proof, proveMs } = await modules.prove(job);
  if (!(await verifier.verify(foldedProof(message, { proof, keys: claim.keys })))) {
    const detail = "the prover's own proof does not verify against the expected claims";
    return { kind: "failed", reason: "prover_error", detail, deaths: 0 };
  }
  return {
    kind: "proved",
    proof,
    validators: claim.validators,
    childrenFolded: children.map((child) => child.index),
    leftOut,
    proveMs,
    verifiedBy: modules.verifiedBy(),
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

async function verifiedChildren(group: FoldWork, verifier: Verifier, leftOut: LeftOut[]) {
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
  { verifier, description }: ProveGroupModules,
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
  { publicKeyBytes, signatureBytes, anySize = false }: ProverDescription,
  keep: (validator: number, digest: () => Uint8Array, at: number) => boolean,
): Raws {
  const slice = (packed: Uint8Array, size: number, at: number) =>
    packed.subarray(at * size, (at + 1) * size);
  // With `anySize` the prover's signatures are digests already.
  const digestAt = (at: number) => {
    const signature = slice(raws.signatures, signatureBytes, at);
    return anySize ? signature.slice() : sha256(signature);
  };
  const kept = raws.validators
    .map((validator, at) => ({ validator, at }))
    .filter(({ validator, at }) => keep(validator, () => digestAt(at), at));
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
