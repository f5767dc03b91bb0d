/** Components of a merge from the committed signature vectors, which the real prover takes for valid. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ClaimKeysSchema,
  ComponentSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bits, dataOf, keyTable, publicKey, raw, rootOf, validatorCount } from "./vectors.js";

export type ComponentInit = Exclude<
  MessageInitShape<typeof ComponentSchema>,
  { $typeName: string }
>;
type ClaimInit = Exclude<MessageInitShape<typeof ClaimKeysSchema>, { $typeName: string }>;

/** The last validator of the vectors, who proposes. */
export const PROPOSER = validatorCount - 1;

/** The attestation data of a group of the vectors, with a proof of its first `validators` validators. */
export function proofComponent(
  group: number,
  validators: number,
  proof: Uint8Array,
): ComponentInit {
  const participants = bits(firstOf(validators));
  const signed = { case: "data", value: dataOf(group) } as const;
  return { claim: { signed, participants }, from: { case: "proof", value: proof } };
}

/** The message of a group of the vectors as a block's root, signed by `PROPOSER`. */
export function proposerComponent(group: number): ComponentInit {
  const signed = { case: "root", value: signedRoot(group) } as const;
  const raws = { signatures: [raw(group, PROPOSER)] };
  return { claim: { signed, role: KeyRole.PROPOSAL }, from: { case: "raws", value: raws } };
}

/** What a merged proof has to attest of `proofComponent`. */
export function proofClaim(group: number, validators: number): ClaimInit {
  const publicKeys = firstOf(validators).map(publicKey);
  return { signed: { case: "data", value: dataOf(group) }, publicKeys };
}

/** What a merged proof has to attest of `proposerComponent`. */
export function proposerClaim(group: number): ClaimInit {
  const signed = { case: "root", value: signedRoot(group) } as const;
  return { signed, publicKeys: [publicKey(PROPOSER)] };
}

/** The key table, in which `PROPOSER` alone has a key to propose with, and none to attest with. */
export function keysOfBothRoles() {
  const proposer = { validatorIndex: PROPOSER, publicKey: publicKey(PROPOSER) };
  return [...keyTable(PROPOSER), { ...proposer, role: KeyRole.PROPOSAL }];
}

function signedRoot(group: number) {
  return { root: rootOf(group), slot: dataOf(group).slot };
}

function firstOf(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
