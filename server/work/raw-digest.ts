/** The digest by which an outcome names a raw signature that is left out. */
import { sha256 } from "../bytes.js";
import type { Raws } from "./group.js";
import type { ProverDescription } from "./prover-description.js";

/** SHA-256 of the signature at this index, as the node sent it. */
export function rawDigest(
  { signatures }: Pick<Raws, "signatures">,
  at: number,
  { signatureBytes, anySize = false }: Pick<ProverDescription, "signatureBytes" | "anySize">,
): Uint8Array {
  const signature = signatures.subarray(at * signatureBytes, (at + 1) * signatureBytes);
  // With `anySize` the prover's signatures are digests already.
  return anySize ? signature.slice() : sha256(signature);
}
