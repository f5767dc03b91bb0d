/** The two forms of a merge, which metrics, logs and tables report apart. */
import type { Claim } from "./gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole } from "./gen/lean/aggregator/v1/aggregator_pb.js";

/** `block`: the proposer's signature is inside. `body`: it is not, so the merge is made ahead. */
export const mergeForms = ["body", "block"] as const;
export type MergeForm = (typeof mergeForms)[number];

/** The form of a merge with these claims; undefined without claims, as of an aggregate. */
export function mergeForm(claims: readonly Claim[]): MergeForm | undefined {
  if (claims.length === 0) return undefined;
  const isProposer = ({ signed, role }: Claim) =>
    signed.case === "root" && role === KeyRole.PROPOSAL;
  return claims.some(isProposer) ? "block" : "body";
}
