/**
 * Merges several messages into one proof, all of them or none: verifies every component, in their order,
 * and names those with a bad input, unless the merge is late before that. If all are good, makes the proof and verifies it against
 * exactly the claims of the components, in their order.
 */
import { sha256 } from "../../bytes.js";
import { foldedProof } from "../../prover/prover.js";
import type { ProofJob } from "../../prover/prover.js";
import { claimsOf } from "../../work/group.js";
import type {
  ComponentWork,
  LeftOut,
  MergeWork,
  NotStartedReason,
  ProofResult,
} from "../../work/group.js";
import { rawDigest } from "../../work/raw-digest.js";
import { provedAndVerified } from "./verified-proof.js";
import type { ProofModules } from "./verified-proof.js";

export interface ProveMergeModules extends ProofModules {
  /** Called before the components are verified, and after: why the merge may not start; undefined: it may. */
  whyNotMerge(merge: MergeWork): NotStartedReason | undefined;
}

/** Resolves to how the attempt ended. Rejects with `ProverError`. */
export async function proveMerge(
  merge: MergeWork,
  modules: ProveMergeModules,
): Promise<ProofResult> {
  const late = modules.whyNotMerge(merge);
  if (late !== undefined) return { kind: "not_started", reason: late, leftOut: [] };
  const leftOut: LeftOut[] = [];
  for (const [componentIndex, component] of merge.components.entries()) {
    const bad = await badInputOf(component, modules);
    if (bad !== undefined) leftOut.push({ ...bad, input: { kind: "component", componentIndex } });
  }
  const isWhole = leftOut.length === 0 && merge.leftOut.length === 0;
  if (!isWhole) return { kind: "rejected", leftOut };
  const reason = modules.whyNotMerge(merge);
  if (reason !== undefined) return { kind: "not_started", reason, leftOut };
  const made = await provedAndVerified(mergeJob(merge), modules);
  return { kind: "proved", ...made, validators: [], childrenFolded: [], leftOut };
}

/** The merge of the work, which attests the claims of its components, in their order. */
export function mergeJob(merge: MergeWork): ProofJob {
  const { components, logInvRate } = merge;
  const raws = components.flatMap(({ message, from }) => {
    if (from.kind === "proof") return [];
    const { keys, signatures } = from.raws;
    return [{ ...message, keys, signatures }];
  });
  const children = components.flatMap(({ message, from }) =>
    from.kind === "proof" ? [foldedProof(message, from.child)] : [],
  );
  return { kind: "merge", logInvRate, raws, children, wanted: claimsOf(merge) };
}

/** The component's first bad input; undefined when all are good. Rejects with `ProverError`. */
async function badInputOf(
  { message, from }: ComponentWork,
  { verifier, description }: ProveMergeModules,
): Promise<Pick<LeftOut, "reason" | "digest"> | undefined> {
  if (from.kind === "proof") {
    const isValid = await verifier.verify(foldedProof(message, from.child));
    return isValid ? undefined : { reason: "bad_child", digest: sha256(from.child.proof) };
  }
  const verdicts = await verifier.verifySignatures({ ...message, ...from.raws });
  const at = verdicts.findIndex((verdict) => verdict !== "ok");
  if (at < 0) return undefined;
  const reason = verdicts[at] === "wrong_leaf" ? "wrong_leaf" : "bad_signature";
  return { reason, digest: rawDigest(from.raws, at, description) };
}
