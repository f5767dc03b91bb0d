/**
 * Proves one group, a fold or a merge. Called for a lane's current attempt. The result does not repeat
 * the inputs that decoding left out.
 */
import { ProverError } from "../../prover/prover.js";
import type { GroupWork, ProofResult } from "../../work/group.js";
import { proveFold } from "./prove-fold.js";
import type { ProveFoldModules } from "./prove-fold.js";
import { proveMerge } from "./prove-merge.js";
import type { ProveMergeModules } from "./prove-merge.js";
import { InvalidProofError } from "./verified-proof.js";

export interface ProveGroupModules extends ProveFoldModules, ProveMergeModules {}

/** Resolves to how the attempt ended; a `ProverError` becomes a `failed` result. */
export async function proveGroup(
  group: GroupWork,
  modules: ProveGroupModules,
): Promise<ProofResult> {
  try {
    return await (group.kind === "fold" ? proveFold(group, modules) : proveMerge(group, modules));
  } catch (error) {
    if (!(error instanceof ProverError)) throw error;
    const reason = error.kind === "died" ? "prover_died" : "prover_error";
    const { deaths } = modules.verifier;
    const isInvalidProof = error instanceof InvalidProofError;
    const failed = { kind: "failed", reason, detail: error.message, deaths } as const;
    return isInvalidProof ? { ...failed, isInvalidProof } : failed;
  }
}
