/** The groups that aggregators and proposers of the simulated network submit. */
import type { ComponentWork, DecodedGroup, MergeWork } from "../../../server/work/group.js";
import { decodedGroup } from "../../harness/decoded-group.js";
import { rootNamed } from "../../sim/work/sim-keys.js";
import { proofOf, SIGNATURE_BYTES } from "../../sim/sim-prover.js";
import { keysOf } from "../policies/reported-prover.js";

/** A message of which a proof is there, or the proposer's signature of its block. */
export interface Message {
  /** At most 32 bytes; unique. */
  name: string;
  slot: number;
  validators: readonly number[];
}

export function voteGroup({ name, slot, validators }: Message): DecodedGroup {
  return decodedGroup({
    kind: "fold",
    message: { root: rootNamed(name), slot },
    raws: rawsOf(validators),
    children: [],
    leftOut: [],
    logInvRate: 0,
  });
}

/** @param signed the proposer's signature, for the spec's block proof */
export function mergeGroup(
  body: readonly Message[],
  signed: Message | undefined,
): DecodedGroup<MergeWork> {
  const proofs = body.map(({ name, slot, validators }): ComponentWork => {
    const message = { root: rootNamed(name), slot };
    const keys = keysOf(validators);
    const child = { index: 0, validators, keys, proof: proofOf([{ ...message, keys }]) };
    return { message, from: { kind: "proof", child } };
  });
  const components = signed === undefined ? proofs : [...proofs, signatureOf(signed)];
  return decodedGroup<MergeWork>({ kind: "merge", components, leftOut: [], logInvRate: 0 });
}

function signatureOf({ name, slot, validators }: Message): ComponentWork {
  const message = { root: rootNamed(name), slot };
  return { message, from: { kind: "raws", raws: rawsOf(validators) } };
}

function rawsOf(validators: readonly number[]) {
  const signatures = new Uint8Array(validators.length * SIGNATURE_BYTES);
  return { validators, keys: keysOf(validators), signatures };
}
