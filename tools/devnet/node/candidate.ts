/**
 * The body of a node's next block while it grows: of one message, then of two, and so on, each merged
 * anew. The best finished one is always at hand. Stale once the block's parent is another. Pure.
 */
import type { Aggregate, RootHex } from "../chain/containers.js";

/** For a block of this slot on this parent. */
export interface BodyPlace {
  slot: number;
  parent: RootHex;
}
export interface Candidate extends BodyPlace {
  body: readonly Aggregate[];
}
export interface ProvedCandidate extends Candidate {
  proof: Uint8Array;
}

export interface GrowthStep {
  /** A merge in flight that is of no more use. */
  cancel: Candidate | null;
  /** A merge to begin; then call `started`. */
  start: Candidate | null;
}

export class GrowingCandidate {
  #best: ProvedCandidate | null = null;
  #running: Candidate | null = null;

  /** @param wanted what a block there would have now, had every proof been merged */
  next(place: BodyPlace, wanted: readonly Aggregate[]): GrowthStep {
    const cancel = this.#running !== null && !isAt(this.#running, place) ? this.#running : null;
    if (cancel !== null) this.#running = null;
    if (this.#best !== null && !isAt(this.#best, place)) this.#best = null;
    if (this.#running !== null) return { cancel, start: null };
    const body = wanted.slice(0, (this.#best?.body.length ?? 0) + 1);
    const isBetter = votesOf(body) > votesOf(this.#best?.body ?? []);
    return { cancel, start: isBetter ? { ...place, body } : null };
  }

  started(candidate: Candidate): void {
    this.#running = candidate;
  }

  /** Its merge has ended, and the proof is verified; null: there is none. */
  ended(candidate: Candidate, proof: Uint8Array | null): void {
    if (this.#running !== candidate) return;
    this.#running = null;
    if (proof !== null) this.#best = { ...candidate, proof };
  }

  /** Ends the growth: the best finished candidate for this place, and the merge still in flight. */
  take(place: BodyPlace): { best: ProvedCandidate | null; cancel: Candidate | null } {
    const [best, cancel] = [this.#best, this.#running];
    this.#best = this.#running = null;
    return { best: best !== null && isAt(best, place) ? best : null, cancel };
  }
}

const isAt = (candidate: Candidate, { slot, parent }: BodyPlace): boolean =>
  candidate.slot === slot && candidate.parent === parent;

const votesOf = (body: readonly Aggregate[]): number =>
  body.reduce((votes, { participants }) => votes + participants.getTrueBitIndexes().length, 0);
