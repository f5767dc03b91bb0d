/** A block's proofs for the chaos suite: two attestation data and the proposer's signature in one call. */
import { expect } from "vitest";
import type { ComponentInit, MergeInit } from "../../client/index.js";
import { bitsToIndices } from "../../client/index.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { inventedData, inventedRaw } from "../../tools/harness/wire/contract.js";
import {
  keysOfBothRoles as inventedKeys,
  rootComponent as inventedRoot,
} from "../../tools/harness/merges.js";
import { keysOfBothRoles, PROPOSER } from "../../tools/harness/real-components.js";
import { bits, child, dataOf, raw, rootOf, snapshot } from "../../tools/harness/vectors.js";

const RAWS = 8;
/** The committed proof number 2 is of these validators, over this group of the vectors. */
const [PROVED, PROVERS] = [4, 8];
/** A group of the vectors whose message stands for the block's root. */
const BLOCK = 12;

const validatorsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, at) => first + at);

/** The node's view of the chain, which the service does not judge. */
function view() {
  const { head, justified } = snapshot(1, []);
  return { ...(head && { head }), ...(justified && { justified }) };
}

/** Real votes from validator `first` on: each is another input to the service. */
export function realMerge(first: number): MergeInit {
  const [root, slot] = [rootOf(BLOCK), Number(dataOf(BLOCK).slot)];
  const participants = bits(validatorsFrom(0, PROVERS));
  return {
    ...view(),
    keys: keysOfBothRoles(),
    components: [
      {
        data: dataOf(0),
        signatures: validatorsFrom(first, RAWS).map((validator) => raw(0, validator)),
      },
      { data: dataOf(PROVED), participants, proof: child(2).proof },
      { root, slot, role: KeyRole.PROPOSAL, signatures: [raw(BLOCK, PROPOSER)] },
    ],
  };
}

/** Votes that the fake prover takes; `nth`: each is another input. */
export function inventedMerge(nth: number): MergeInit {
  const ofData = (n: number): ComponentInit => {
    const signatures = validatorsFrom(0, RAWS).map((validator) => inventedRaw(n, validator));
    return { data: inventedData(n), signatures };
  };
  const { claim, from } = inventedRoot(100 + nth);
  const { root, slot } = claim.signed.value;
  const block = { root, slot: Number(slot), role: claim.role, ...from.value };
  return {
    ...view(),
    keys: inventedKeys(),
    components: [ofData(2 * nth), ofData(2 * nth + 1), block],
  };
}

/** The proof attests every component of the merge, in its order. */
export function expectWhole({ components }: MergeInit, outcome: Outcome | undefined): void {
  const wanted = components.map((component) => {
    const kind = "root" in component ? "root" : "data";
    const who =
      "proof" in component
        ? bitsToIndices(component.participants)
        : component.signatures.map(({ validatorIndex }) => validatorIndex);
    return [kind, who];
  });
  const got = outcome?.claims.map(({ signed, participants }) => {
    return [signed.case, bitsToIndices(participants)];
  });
  expect(got).toEqual(wanted);
  expect(outcome?.leftOut).toEqual([]);
}
