/** The jobs that the prover in the node's process gets. Pure. */
import { messageOf } from "../../chain/containers.js";
import type { VoteGroup } from "../../chain/freeze-votes.js";
import { foldedProof, foldOfAll, type ProofJob } from "../../../../server/prover/prover.js";
import { claimsOf, keyOf, type KeyTables, type MergeAsk } from "./body-merger.js";

/** The prover's default. */
const RATE = 0;

/** One proof of a group's raw signatures and children. */
export function foldOf({ data, message, raws, children }: VoteGroup, keys: readonly Uint8Array[]) {
  const [first = new Uint8Array()] = keys;
  const inputs = {
    message: { root: message, slot: data.slot },
    keys: packed(raws.map(({ validator }) => keyOf(keys, validator))),
    signatures: packed(raws.map(({ signature }) => signature)),
    children: children.map(({ participants, proof }) => ({
      proof,
      keys: packed(participants.getTrueBitIndexes().map((validator) => keyOf(keys, validator))),
    })),
    logInvRate: RATE,
  };
  return foldOfAll({ publicKeyBytes: first.length }, inputs);
}

/** One proof of a body's messages and, in the spec's form, of the block's root. */
export function mergeOf(ask: MergeAsk, tables: KeyTables): ProofJob {
  const { body, signed, slot } = ask;
  const slots = [...body.map(({ data }) => data.slot), slot];
  const wanted = claimsOf(ask, tables).map(({ message, keys }, at) => ({
    root: message,
    slot: slots[at] ?? slot,
    keys: packed(keys),
  }));
  const root = wanted.slice(body.length);
  return {
    kind: "merge",
    logInvRate: RATE,
    raws: signed === null ? [] : root.map((claim) => ({ ...claim, signatures: signed.signature })),
    children: body.map(({ data, proof }, at) =>
      foldedProof(
        { root: messageOf(data), slot: data.slot },
        { proof, keys: wanted[at]?.keys ?? new Uint8Array() },
      ),
    ),
    wanted,
  };
}

const packed = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
