/** Merges that the fake prover can prove: of invented attestation data, and of a block's root. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ComponentSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole, ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature } from "../../server/prover/fake/fake.js";
import { inventedData, inventedRaw } from "./wire/contract.js";
import { bits, keyTable, publicKey } from "./vectors.js";
import type { GroupInit, KeyInit } from "./vectors.js";

export type ComponentInit = Exclude<
  MessageInitShape<typeof ComponentSchema>,
  { $typeName: string }
>;

/** Of the 64 validators of the vectors, the keys of these are the others' proposal keys. */
const ATTESTERS = 32;

const proposalKey = (validator: number) => publicKey(ATTESTERS + validator);

/** The keys of 32 validators for votes, and for their blocks. */
export function keysOfBothRoles(): KeyInit[] {
  const proposal = keyTable(ATTESTERS).map(({ validatorIndex }) => {
    return { validatorIndex, publicKey: proposalKey(validatorIndex), role: KeyRole.PROPOSAL };
  });
  return [...keyTable(ATTESTERS), ...proposal];
}

/** A group of kind MERGE. */
export function mergeOf(...components: ComponentInit[]): GroupInit {
  return { kind: ProofKind.MERGE, components };
}

const dataClaim = (n: number) => ({ signed: { case: "data", value: inventedData(n) } }) as const;

/** A component of `inventedData(n)` with raw signatures of these validators. */
export function rawsComponent(n: number, validators: number[] = [0, 1]) {
  const signatures = validators.map((validator) => inventedRaw(n, validator));
  return { claim: dataClaim(n), from: { case: "raws", value: { signatures } } } as const;
}

/** A component of `inventedData(n)` with a proof of it. */
export function proofComponent(n: number, proof: Uint8Array, validators: number[] = [0, 1]) {
  const claim = { ...dataClaim(n), participants: bits(validators) };
  return { claim, from: { case: "proof", value: proof } } as const;
}

/** The root of a block of this slot. */
export const blockRoot = (slot: number) => new Uint8Array(32).fill(slot % 256);

/** A component of a block's root, signed with the proposer's key for blocks. */
export function rootComponent(slot: number, proposer = 3) {
  const root = blockRoot(slot);
  const signature = fakeSignature(proposalKey(proposer), root, slot);
  const signatures = [{ validatorIndex: proposer, signature }];
  return {
    claim: {
      signed: { case: "root", value: { root, slot: BigInt(slot) } },
      role: KeyRole.PROPOSAL,
    },
    from: { case: "raws", value: { signatures } },
  } as const;
}
