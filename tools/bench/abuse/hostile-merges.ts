/**
 * Merges that a hostile node submits, each broken in one way, and how the service must name what is wrong:
 * by a refusal that names the field, or by an outcome that names the component.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole, Priority } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { ComponentInit } from "../../harness/merges.js";
import {
  blockRoot,
  keysOfBothRoles,
  mergeOf,
  proofComponent,
  rawsComponent,
  rootComponent,
} from "../../harness/merges.js";
import type { GroupInit } from "../../harness/vectors.js";
import { keyTable, snapshot } from "../../harness/vectors.js";
import { inventedRaw } from "../../harness/wire/contract.js";

const SLOT = 100;
const MANY = 4096;
/** The largest proof that may come. */
const PROOF_BYTES = 512 * 1024;

/** A submission without its node. */
export type Submission = Omit<
  Exclude<MessageInitShape<typeof SubmitSnapshotRequestSchema>, { $typeName: string }>,
  "node"
>;

export interface HostileMerge {
  name: string;
  submission: Submission;
  /** The text of the refusal has this; null: it is accepted, and ends rejected. */
  refusal: RegExp | null;
  /** Components that the outcome names, in their order. */
  named: readonly number[];
}

const good = (n: number) => rawsComponent(n);
const many = <T>(count: number, make: (at: number) => T) =>
  Array.from({ length: count }, (_, at) => make(at));
const noise = (bytes: number) => new Uint8Array(bytes).fill(0x5a);

function refused(
  name: string,
  refusal: RegExp,
  group: GroupInit,
  more: Partial<Submission> = {},
): HostileMerge {
  return { name, submission: submissionOf([group], more), refusal, named: [] };
}

function rejected(name: string, named: readonly number[], components: ComponentInit[]) {
  return { name, submission: submissionOf([mergeOf(...components)]), refusal: null, named };
}

function submissionOf(groups: GroupInit[], more: Partial<Submission> = {}): Submission {
  const budgets = { deadlineMs: 5000, fenceMs: 8000 };
  return { snapshot: snapshot(SLOT, groups, keysOfBothRoles()), ...budgets, ...more };
}

/** A component of the block's root, signed by the proposer's key for blocks, with another claim. */
const ofRoot = (slot: bigint, role: KeyRole): ComponentInit => {
  const { from } = rootComponent(SLOT);
  return {
    claim: { signed: { case: "root", value: { root: blockRoot(SLOT), slot } }, role },
    from,
  };
};

/** @param proofs valid ones of the first two messages, by validators 0 and 1 */
export function hostileMerges(proofs: readonly [Uint8Array, Uint8Array]): HostileMerge[] {
  return [...rejectedMerges(proofs), ...refusedMerges(proofs[0])];
}

/** Accepted, for only a prover sees what is wrong. */
function rejectedMerges([first, second]: readonly [Uint8Array, Uint8Array]): HostileMerge[] {
  return [
    rejected(
      "components in another order than their proofs",
      [0, 1],
      [proofComponent(0, second), proofComponent(1, first), good(2)],
    ),
    rejected(
      "a proof of other validators than it names",
      [1],
      [good(2), proofComponent(0, first, [0, 1, 2])],
    ),
    rejected(
      "proofs of another proof system",
      [0, 2],
      [proofComponent(0, noise(200_000)), good(2), proofComponent(1, noise(1))],
    ),
    rejected(
      "a proof of the largest size, of nothing",
      [0],
      [proofComponent(0, noise(PROOF_BYTES)), good(2)],
    ),
    rejected(
      "the signature of another message",
      [1],
      [good(2), { ...good(0), from: good(1).from }],
    ),
    rejected(
      "the proposer's signature by a key for votes",
      [1],
      [good(2), ofRoot(BigInt(SLOT), KeyRole.ATTESTATION)],
    ),
  ];
}

/** Refused as they are read. @param proof a valid one of the first message */
function refusedMerges(proof: Uint8Array): HostileMerge[] {
  return [
    refused(
      "the same message twice",
      /components\[2\]\.claim\.data: is the message of component 0 too/,
      mergeOf(good(0), good(1), rawsComponent(0, [5])),
    ),
    refused(
      "4096 components",
      /components: has 4096 entries, at most 16/,
      mergeOf(...many(MANY, good)),
    ),
    refused(
      "4096 signatures of one validator in each of two components",
      /components\[0\]\.raws\.signatures\[1\]/,
      mergeOf(
        ...many(2, (n) =>
          rawsComponent(
            n,
            many(MANY, () => 1),
          ),
        ),
      ),
    ),
    refused(
      "participants over the largest registry",
      /components\[1\]\.claim\.participants/,
      mergeOf(good(0), {
        ...proofComponent(1, proof),
        claim: { ...good(1).claim, participants: noise(1 << 20) },
      }),
    ),
    refused(
      "the block of a later slot, at the present block's priority",
      /components\[1\]\.claim\.root\.slot/,
      mergeOf(good(0), ofRoot(BigInt(SLOT + 1), KeyRole.PROPOSAL)),
      { priority: Priority.PROPOSAL },
    ),
  ];
}

/** A merge of three messages, all valid; `nth`: each is another. */
export const goodMerge = (nth: number) =>
  submissionOf([mergeOf(...many(3, (at) => rawsComponent(10 + 3 * nth + at)))]);

/** A group of 32 raw signatures, of which every other one is invalid; `nth`: each is another. */
export function hostileTree(nth: number) {
  const { claim } = good(10_000 + nth);
  const rawSignatures = many(32, (validator) => {
    return inventedRaw(validator % 2 === 0 ? 10_000 + nth : 0, validator);
  });
  const votes = { data: claim.signed.value, rawSignatures };
  return submissionOf([votes], { snapshot: snapshot(SLOT, [votes], keyTable(32)) });
}
