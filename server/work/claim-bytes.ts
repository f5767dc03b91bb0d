/** How much memory the claims of a merge's outcome take. */
import type { Claim } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../limits.js";

export function bytesOfClaims(claims: readonly Claim[]): number {
  return claims.reduce((sum, { participants }) => {
    return sum + limits.claimBytes + participants.length;
  }, 0);
}
