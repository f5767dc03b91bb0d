/** How much memory outcomes take besides their proofs, which are erased earlier. Pure. */
import type { Claim, Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../limits.js";
import type { DecodedGroup } from "./group.js";

/** Memory of one element of an array of numbers. */
export const NUMBER_BYTES = 8;
/** Memory of one character of a text that is not in Latin letters alone. */
const CHARACTER_BYTES = 2;

/** Bytes of the outcome that are held for as long as it is kept: all but its proof. */
export function keptBytes(outcome: Outcome): number {
  const { claims, leftOut, participants, childrenFolded, detail } = outcome;
  const lists = participants.length + childrenFolded.length * NUMBER_BYTES;
  return named(claims, leftOut) + lists + detail.length * CHARACTER_BYTES;
}

/** `keptBytes` of the group's outcome when no attempt at it ends: a proof, or a failure, has more. */
export function keptBytesMin({ claims, work }: DecodedGroup): number {
  return named(claims, work.leftOut);
}

/** Bytes of the outcome itself, with what it names. */
function named(claims: readonly Claim[], { length }: readonly unknown[]): number {
  return claims.reduce(
    (sum, { participants }) => sum + limits.claimBytes + participants.length,
    limits.outcomeBytes + length * limits.leftOutBytes,
  );
}
