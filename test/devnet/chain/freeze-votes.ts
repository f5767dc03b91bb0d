/**
 * The snapshot function: what an aggregator asks to be proved. Raw signatures first, at most one
 * child a group, since a child costs seconds where a raw signature costs milliseconds. Pure.
 */
import { hex, type Aggregate, type AttestationData } from "./containers.js";
import type { RawVotes, Store } from "./store.js";

/** As many as a block takes. */
const GROUPS_MAX = 8;

/** One attestation data with what is to be folded into one proof. */
export interface VoteGroup {
  data: AttestationData;
  message: Uint8Array;
  raws: { validator: number; signature: Uint8Array }[];
  children: Aggregate[];
}

/**
 * Groups in order of preference: this slot's votes, then the heavier, then the newer. A copy. A
 * child goes in only where votes came after the proof of their data was made.
 */
export function freezeVotes(store: Store, slot: number): VoteGroup[] {
  return [...store.raws.values()]
    .filter(({ data }) => data.slot <= slot)
    .sort((a, b) => rank(b, slot) - rank(a, slot) || b.data.slot - a.data.slot)
    .slice(0, GROUPS_MAX)
    .map(({ data, message, signatures }) => ({
      data,
      message,
      raws: [...signatures].map(([validator, signature]) => ({ validator, signature })),
      children: largest(store.aggregatesOf(hex(message))),
    }));
}

function rank({ data, signatures }: RawVotes, slot: number): number {
  return (data.slot === slot ? 1_000_000 : 0) + signatures.size;
}

function largest(aggregates: readonly Aggregate[]): Aggregate[] {
  const size = ({ participants }: Aggregate) => participants.getTrueBitIndexes().length;
  return [...aggregates].sort((a, b) => size(b) - size(a)).slice(0, 1);
}
