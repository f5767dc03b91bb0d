/** A decoded group of given work, for tests and simulations that decode no snapshot. */
import { create } from "@bufbuild/protobuf";
import { AttestationDataSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { inputDigest } from "../../server/work/input-digest.js";
import { inputsOf } from "../../server/work/group.js";
import type { DecodedGroup, GroupWork, SentWork } from "../../server/work/group.js";

/** The work, which must be a fold. Throws for a merge, and without one. */
export function foldOf<Work extends SentWork>(work: Work | undefined): Work & { kind: "fold" } {
  if (work === undefined || work.kind !== "fold") throw new TypeError("the work is no fold");
  return work as Work & { kind: "fold" };
}

/** The group of which decoding has left nothing out, with the digest of its work. */
export function decodedGroup<Work extends GroupWork>(work: Work): DecodedGroup<Work> {
  const { raws, children } = inputsOf(work);
  const validators = [...raws, ...children].flatMap((input) => input.validators);
  return {
    data: create(AttestationDataSchema),
    claims: [],
    claimVotes: [],
    work,
    isOverLimit: false,
    digest: inputDigest(work),
    votes: new Set(validators).size,
    votesLeftOut: { unknown_key: new Uint8Array(), bad_child: new Uint8Array() },
    sszLength: undefined,
  };
}
