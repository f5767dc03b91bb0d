/**
 * What the statuses of `native/include/lean_prover.h` mean to the service. Used only by the prover
 * process: above it there are verdicts and `ProverError` kinds.
 */
import type { SignatureVerdict } from "../../native/addon.js";

const OK = 0;
const INVALID_ARGUMENT = 1;
const BAD_SIGNATURE = 2;
const BAD_AGGREGATE = 3;
const UNSUPPORTED = 4;

const REFUSALS: readonly number[] = [INVALID_ARGUMENT, BAD_SIGNATURE, BAD_AGGREGATE, UNSUPPORTED];

/** The verdict that one byte of `verifySignatures` stands for. Throws for any other status. */
export function verdictOf(status: number): SignatureVerdict {
  switch (status) {
    case OK:
      return "ok";
    case INVALID_ARGUMENT: // the C ABI's word for a leaf index that is not the message's slot
      return "wrong_leaf";
    case BAD_SIGNATURE:
      return "bad_signature";
    default:
      throw new Error(`the backend gave a signature the status ${String(status)}`);
  }
}

/** "refused" when the inputs were at fault, "internal" when the prover was. */
export function failureKindOf(error: unknown): "refused" | "internal" {
  if (typeof error !== "object" || error === null || !("status" in error)) return "internal";
  const { status } = error;
  return typeof status === "number" && REFUSALS.includes(status) ? "refused" : "internal";
}
