/** A decoded group of given work, for tests and simulations that decode no snapshot. */
import { create } from "@bufbuild/protobuf";
import type { Claim } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AttestationDataSchema,
  ClaimSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices, encodeBitlist } from "../../proto/bitlist.js";
import { inputDigest } from "../../server/work/input-digest.js";
import { inputsOf, noVotesLeftOut } from "../../server/work/group.js";
import type { ComponentWork, DecodedGroup, GroupWork, SentWork } from "../../server/work/group.js";

/** The work, which must be a fold. Throws for a merge, and without one. */
export function foldOf<Work extends SentWork>(work: Work | undefined): Work & { kind: "fold" } {
  if (work === undefined || work.kind !== "fold") throw new TypeError("the work is no fold");
  return work as Work & { kind: "fold" };
}

/** The group of which decoding has left nothing out, with the digest of its work for the fake prover. */
export function decodedGroup<Work extends GroupWork>(
  work: Work,
  of = { scheme: "fake", revision: "fake-1" },
): DecodedGroup<Work> {
  const { raws, children } = inputsOf(work);
  const validators = [...raws, ...children].flatMap((input) => input.validators);
  const claims = work.kind === "fold" ? [] : work.components.map(claimOf);
  const claimVotes = claims.map(({ participants }) => bitsToIndices(participants).length);
  const isFold = work.kind === "fold";
  return {
    data: isFold ? create(AttestationDataSchema) : undefined,
    claims,
    claimVotes,
    work,
    isOverLimit: false,
    digest: inputDigest(work, of),
    votes: isFold ? new Set(validators).size : validators.length,
    votesLeftOut: noVotesLeftOut(),
    sszLength: undefined,
  };
}

/** As if the component's message were a root. */
function claimOf({ message: { root, slot }, from }: ComponentWork): Claim {
  const { validators } = from.kind === "raws" ? from.raws : from.child;
  return create(ClaimSchema, {
    signed: { case: "root", value: { root, slot: BigInt(slot) } },
    participants: encodeBitlist(validators, undefined),
  });
}
