/** What the node sees of a merge, whichever way it is made: one proof of several messages. */
import { messageOf, type Aggregate, type Attestation } from "../../chain/containers.js";
import type { MessageClaim } from "../../crypto/crypto-client.js";

/** The proposer's own signature of its block's root, by its key for blocks. */
export interface SignedBlockRoot {
  root: Uint8Array;
  validator: number;
  signature: Uint8Array;
}

export interface MergeAsk {
  /** The slot of the block that it is for. */
  slot: number;
  /** A proof of each attestation of the body, in the block's order. */
  body: readonly Aggregate[];
  /** Null: a body proof, made ahead of its slot. Else the spec's block proof, made within it. */
  signed: SignedBlockRoot | null;
}

export interface Merged {
  ask: MergeAsk;
  /**
   * `missed`: not started, as so many components would be late or too large. `superseded`: replaced before it
   * began. `failed`: also when its slot is over.
   */
  end: "proved" | "missed" | "superseded" | "failed";
  /** Null unless `proved`. */
  proof: Uint8Array | null;
  /** Time in the prover, in milliseconds. */
  proveMs: number;
  /** Why the proof is missing, in words. */
  detail: string;
  /** Without a proof: indices of the components that are to blame. */
  bad: readonly number[];
}

export interface BodyMerger {
  /** Whether the merge of a body replaces those before it that have not begun. */
  readonly canReplace: boolean;
  /**
   * Begins a merge, or says why not. Where the merge is made on this thread, returns when it is made;
   * elsewhere at once.
   */
  startMerge(ask: MergeAsk): "started" | string;
  /** Every merge that has ended, each once. */
  takeMerged(currentSlot: number): Merged[];
  /** The merge is of no more use: ends it where it can be ended. `takeMerged` may still return it. */
  cancelMerge(ask: MergeAsk): void;
}

/** Public keys by validator: for votes, and for blocks. */
export interface KeyTables {
  keys: readonly Uint8Array[];
  proposalKeys: readonly Uint8Array[];
}

/** What a body proof must attest, in the body's order. */
export function bodyClaims(body: readonly Attestation[], keys: readonly Uint8Array[]) {
  return body.map(({ data, participants }): MessageClaim => {
    const voters = participants.getTrueBitIndexes();
    return { message: messageOf(data), keys: voters.map((validator) => keyOf(keys, validator)) };
  });
}

/** What the proof of a merge must attest: the body's messages, then the block's root. */
export function claimsOf({ body, signed }: MergeAsk, tables: KeyTables): MessageClaim[] {
  const claims = bodyClaims(body, tables.keys);
  if (signed === null) return claims;
  const keys = [keyOf(tables.proposalKeys, signed.validator)];
  return [...claims, { message: signed.root, keys }];
}

/** Empty for an unknown validator: no proof attests that. */
export const keyOf = (keys: readonly Uint8Array[], validator: number): Uint8Array =>
  keys[validator] ?? new Uint8Array();
