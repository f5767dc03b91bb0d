/**
 * The snapshot function: what an aggregator asks to be proved. Raw signatures first, at most one
 * child a group, since a child costs seconds where a raw signature costs milliseconds. Pure.
 */
import { hex, type Aggregate, type AttestationData } from "./containers.js";
import { isSupermajority } from "./justification.js";
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
 * child goes in only where it takes to make two thirds: else a second proof of the same data, of the
 * raw signatures alone, does as much for a block in a third of the time. With `foldsChildren` it
 * goes in always, as leanSpec has it.
 */
export function freezeVotes(store: Store, slot: number, foldsChildren = false): VoteGroup[] {
  return [...store.raws.values()]
    .filter(({ data }) => data.slot <= slot)
    .sort((a, b) => rank(b, slot) - rank(a, slot) || b.data.slot - a.data.slot)
    .slice(0, GROUPS_MAX)
    .map(({ data, message, signatures }) => ({
      data,
      message,
      raws: [...signatures].map(([validator, signature]) => ({ validator, signature })),
      children: childOf(
        new Set(signatures.keys()),
        store.aggregatesOf(hex(message)),
        foldsChildren ? null : store.validators,
      ),
    }));
}

function rank({ data, signatures }: RawVotes, slot: number): number {
  return (data.slot === slot ? 1_000_000 : 0) + signatures.size;
}

/** The largest. @param validators their number, when it must decide two thirds of them; else null */
function childOf(
  voters: ReadonlySet<number>,
  aggregates: readonly Aggregate[],
  validators: number | null,
): Aggregate[] {
  const members = ({ participants }: Aggregate) => participants.getTrueBitIndexes();
  const [largest] = [...aggregates].sort((a, b) => members(b).length - members(a).length);
  if (largest === undefined) return [];
  if (validators === null) return [largest];
  const isEnough = (votes: number) => isSupermajority(votes, validators);
  const union = new Set([...voters, ...members(largest)]);
  const isDecisive = isEnough(union.size) && !isEnough(voters.size);
  return isDecisive && !isEnough(members(largest).length) ? [largest] : [];
}
