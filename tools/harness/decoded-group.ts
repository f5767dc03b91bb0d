/** A decoded group of given work, for tests and simulations that decode no snapshot. */
import { create } from "@bufbuild/protobuf";
import { AttestationDataSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { inputDigest } from "../../server/work/input-digest.js";
import type { DecodedGroup, GroupWork } from "../../server/work/group.js";

/** The group of which decoding has left nothing out, with the digest of its work. */
export function decodedGroup(work: GroupWork): DecodedGroup {
  const validators = [work.raws, ...work.children].flatMap((input) => input.validators);
  return {
    data: create(AttestationDataSchema),
    work,
    isOverLimit: false,
    digest: inputDigest(work),
    votes: new Set(validators).size,
    votesLeftOut: { unknown_key: new Uint8Array(), bad_child: new Uint8Array() },
    sszLength: undefined,
  };
}
