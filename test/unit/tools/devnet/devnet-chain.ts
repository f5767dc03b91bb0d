/** A store that has been driven by hand: votes and aggregates without signatures or proofs. */
import {
  participantsOf,
  type Aggregate,
  type AttestationData,
} from "../../../../tools/devnet/chain/containers.js";
import { buildBlock } from "../../../../tools/devnet/chain/propose.js";
import { Store } from "../../../../tools/devnet/chain/store.js";

export const VALIDATORS = 8;
export const everyone = Array.from({ length: VALIDATORS }, (_, validator) => validator);

export function aggregateOf(data: AttestationData, voters: readonly number[]): Aggregate {
  return { data, participants: participantsOf(voters), proof: new Uint8Array([voters.length]) };
}

export function vote(data: AttestationData, validatorIndex: number) {
  return { data, validatorIndex, signature: new Uint8Array([validatorIndex + 1]) };
}

/**
 * One slot as it should be: a block, everyone's vote for it, one aggregate before the safe target,
 * and acceptance. Returns what was voted.
 */
export function playSlot(
  store: Store,
  slot: number,
  voters: readonly number[] = everyone,
): AttestationData {
  store.acceptPending();
  store.importBlock(buildBlock(store, slot));
  const data = store.voteData(slot);
  if (voters.length > 0) store.addAggregate(aggregateOf(data, voters));
  store.updateSafeTarget();
  store.acceptPending();
  return data;
}

export function playSlots(from: number, to: number, store = new Store(VALIDATORS)): Store {
  for (let slot = from; slot <= to; slot++) playSlot(store, slot);
  return store;
}
