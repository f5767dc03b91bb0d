/** Makes a proof and verifies it before anyone gets it, whatever its kind. */
import { ProverError } from "../../prover/prover.js";
import type { ProofJob } from "../../prover/prover.js";
import type { VerifiedBy } from "../../work/group.js";
import type { ProverDescription } from "../../work/prover-description.js";
import type { Verifier } from "./verifier.js";

export interface ProofModules {
  description: ProverDescription;
  verifier: Verifier;
  /** Who has answered last for `verifier`. */
  verifiedBy(): VerifiedBy;
  /** Makes the proof, in `proveMs` milliseconds. Rejects with `ProverError`. */
  prove(job: ProofJob): Promise<{ proof: Uint8Array; proveMs: number }>;
}

/** A proof was made that does not verify. */
export class InvalidProofError extends ProverError {
  constructor() {
    super("internal", "the prover's own proof does not verify against the expected claims");
  }
}

/**
 * The job's proof, which attests exactly the claims that the job wants, in their order. Rejects with
 * `ProverError`; with `InvalidProofError` when the proof does not verify.
 */
export async function provedAndVerified(
  job: ProofJob,
  { verifier, verifiedBy, prove }: ProofModules,
): Promise<{ proof: Uint8Array; proveMs: number; verifiedBy: VerifiedBy }> {
  const { proof, proveMs } = await prove(job);
  const isValid = await verifier.verify({ kind: job.kind, bytes: proof, claims: job.wanted });
  if (isValid) return { proof, proveMs, verifiedBy: verifiedBy() };
  throw new InvalidProofError();
}
