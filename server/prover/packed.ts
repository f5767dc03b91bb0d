/** Sizes of packed keys and signatures, checked before they reach a prover. */
import { ProverError, type ProverDescription } from "./prover.js";

/** How many keys are packed in `keys`. Throws `ProverError("refused")` for a broken one. */
export function keyCountOf(description: ProverDescription, keys: Uint8Array): number {
  const count = keys.length / description.publicKeyBytes;
  if (!Number.isInteger(count)) {
    throw new ProverError(
      "refused",
      `${String(keys.length)} bytes of keys are no multiple of ${String(description.publicKeyBytes)}`,
    );
  }
  return count;
}

/** How many signers there are; throws `ProverError("refused")` unless each has one signature. */
export function signerCountOf(
  description: ProverDescription,
  keys: Uint8Array,
  signatures: Uint8Array,
): number {
  const count = keyCountOf(description, keys);
  if (signatures.length !== count * description.signatureBytes) {
    throw new ProverError(
      "refused",
      `${String(signatures.length)} bytes of signatures for ${String(count)} keys, ` +
        `${String(count * description.signatureBytes)} expected`,
    );
  }
  return count;
}
