/** How much memory the claims and the left-out inputs of an outcome take. */
import type { Claim } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../limits.js";
import type { DecodedGroup } from "./group.js";

export function bytesOfClaims(claims: readonly Claim[]): number {
  return claims.reduce((sum, { participants }) => {
    return sum + limits.claimBytes + participants.length;
  }, 0);
}

/** Bytes of what the outcome says in any case: what decoding left out, and a merge's claims. */
export function namedBytes({ claims, work }: DecodedGroup): number {
  return work.leftOut.length * limits.leftOutBytes + bytesOfClaims(claims);
}
