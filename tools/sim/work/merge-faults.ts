/** What must hold of the outcome of a merge: all of it is proved in its order, or each bad part named. */
import { equals } from "@bufbuild/protobuf";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ClaimSchema, OutcomeStatus } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { DecodedGroup, MergeWork } from "../../../server/work/group.js";
import { claimsOf } from "../../../server/work/group.js";
import { badComponents } from "./sim-merge.js";
import { proofOf } from "../sim-prover.js";

/** What is said of a merge; without the proof's bytes where they were read after the fence. */
export type MergeOutcome = Pick<
  Outcome,
  "status" | "claims" | "participants" | "leftOut" | "proof" | "childrenFolded"
>;

/** @param group as its node submitted it */
export function mergeFaults(
  { work, claims: wanted }: DecodedGroup<MergeWork>,
  { status, claims, participants, leftOut, proof, childrenFolded }: MergeOutcome,
): string[] {
  const bad = badComponents(work);
  const named = leftOut.flatMap(({ input }) =>
    input.case === "componentIndex" ? [input.value] : [],
  );
  const areSame =
    claims.length === wanted.length &&
    wanted.every((claim, at) => {
      const given = claims[at];
      return given !== undefined && equals(ClaimSchema, claim, given);
    });
  const fault = (isBroken: boolean, what: string) => (isBroken ? [what] : []);
  const always = [
    ...fault(!areSame, "claims others than its node's, or in another order"),
    ...fault(named.length < leftOut.length, "a merge sheds or leaves out a single input"),
    ...fault(participants.length + childrenFolded.length > 0, "a merge has a fold's participants"),
  ];
  switch (status) {
    case OutcomeStatus.PROVED:
    case OutcomeStatus.PROVED_LATE: {
      const isTrue = proof.length === 0 || Buffer.compare(proofOf(claimsOf(work)), proof) === 0;
      return [
        ...always,
        ...fault(bad.length + leftOut.length > 0, "a merge without all of its components"),
        ...fault(!isTrue, "a merged proof that does not attest its claims in their order"),
      ];
    }
    case OutcomeStatus.REJECTED:
      return [
        ...always,
        ...fault(bad.length === 0, "a good merge is rejected"),
        ...fault(
          named.join() !== bad.join(),
          `${named.join()} are named as bad, not ${bad.join()}`,
        ),
      ];
    case OutcomeStatus.NOTHING_TO_PROVE:
      return [...always, "a merge with nothing to prove"];
    default:
      return always;
  }
}
