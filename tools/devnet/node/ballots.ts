/**
 * Signs this node's votes, and gives them out when their time has come. A leanXMSS signature takes
 * half a second of a core: signing begins before the voting interval, and may end after it.
 */
import { messageOf, type AttestationData, type Vote } from "../chain/containers.js";
import type { SignedMessage } from "../crypto/crypto-client.js";

/** A vote that took longer than this to sign is of no more use. */
const KEPT_SLOTS = 8;

export interface BallotModules {
  sign(validator: number, message: SignedMessage): Promise<Uint8Array>;
  /** A signed vote whose slot has come. */
  onVote(vote: Vote): void;
  onError(error: Error): void;
}

export class Ballots {
  /** Signed ahead of their slot. */
  readonly #ready = new Map<number, Vote[]>();
  /** Cast, to be repeated to a peer that was away. */
  #cast: Vote[] = [];
  #openSlot = 0;

  constructor(
    private readonly validators: readonly number[],
    private readonly modules: BallotModules,
  ) {}

  /** Starts to sign what our validators will say; each slot once. */
  prepare(dataOf: (validator: number) => AttestationData): void {
    for (const validatorIndex of this.validators) {
      const data = dataOf(validatorIndex);
      const signed = { message: messageOf(data), slot: data.slot };
      this.modules
        .sign(validatorIndex, signed)
        .then((signature) => this.#onSigned({ validatorIndex, data, signature }))
        .catch(this.modules.onError);
    }
  }

  /** The voting interval of this slot has begun. */
  open(slot: number): void {
    this.#openSlot = slot;
    for (const [readySlot, votes] of this.#ready) {
      if (readySlot > slot) continue;
      this.#ready.delete(readySlot);
      // A slot that passed while the process was frozen has no more use for them.
      if (readySlot === slot) votes.forEach((vote) => this.#castVote(vote));
    }
    this.#cast = this.#cast.filter(({ data }) => data.slot + KEPT_SLOTS > slot);
  }

  /** Votes of the last slots. */
  recent(): readonly Vote[] {
    return this.#cast;
  }

  #onSigned(vote: Vote): void {
    const { slot } = vote.data;
    if (slot > this.#openSlot) this.#ready.set(slot, [...(this.#ready.get(slot) ?? []), vote]);
    else if (slot + 1 >= this.#openSlot) this.#castVote(vote);
  }

  #castVote(vote: Vote): void {
    this.#cast.push(vote);
    this.modules.onVote(vote);
  }
}
