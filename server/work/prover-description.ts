/** How a prover describes itself. Provers of one service have the same scheme and revision. */

/** Sizes are bytes; 0 in a `…Max` field means no limit. */
export interface ProverDescription {
  backend: string;
  scheme: string;
  revision: string;
  publicKeyBytes: number;
  signatureBytes: number;
  proofBytesMax: number;
  childrenMax: number;
  /** Whether the prover only simulates proofs; no verifier takes such a proof for a real one. */
  fake: boolean;
}
