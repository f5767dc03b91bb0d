/** Which inputs of simulated work are valid, and what a proof of all of them attests. */
import { concat } from "../../../server/bytes.js";
import type { ChildWork, FoldWork, SentWork } from "../../../server/work/group.js";
import { claimsOf } from "../../../server/work/group.js";
import { KEY_BYTES } from "./sim-keys.js";
import { BAD, proofOf, SIGNATURE_BYTES } from "../sim-prover.js";

type Fold = Omit<FoldWork, "leftOut">;

/** The proof of all that is valid of the work: two proofs with the same text are of the same job. */
export function wholeProofOf(work: SentWork): string {
  const claims =
    work.kind === "merge"
      ? claimsOf(work)
      : [{ ...work.message, keys: concat([...goodRawKeys(work), ...goodChildKeys(work)]) }];
  return Buffer.from(proofOf(claims)).toString();
}

/** Whether the raw signature at this place of the group is valid. */
export function isGoodRaw({ raws }: Fold, at: number): boolean {
  return raws.signatures[at * SIGNATURE_BYTES] !== BAD;
}

export function isGoodChild({ message }: Fold, { keys, proof }: ChildWork): boolean {
  return Buffer.compare(proofOf([{ ...message, keys }]), proof) === 0;
}

function goodRawKeys(work: Fold): Uint8Array[] {
  const { validators, keys } = work.raws;
  return validators.flatMap((_, at) =>
    isGoodRaw(work, at) ? [keys.subarray(at * KEY_BYTES, (at + 1) * KEY_BYTES)] : [],
  );
}

function goodChildKeys(work: Fold): Uint8Array[] {
  return work.children.filter((child) => isGoodChild(work, child)).map(({ keys }) => keys);
}
