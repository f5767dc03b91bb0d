/**
 * What one node knows: blocks and their states, raw signatures that no proof represents yet, and
 * aggregates, pending until interval 4 accepts them. Head and safe target come from these. No
 * clock, sockets or crypto: the caller has verified what it passes in.
 */
import {
  blockRoot,
  hex,
  messageOf,
  type Aggregate,
  type AttestationData,
  type Block,
  type BlockWithProofs,
  type Checkpoint,
  type RootHex,
  type Vote,
} from "./containers.js";
import { chooseHead, chooseSafeTarget, chooseTarget, type ForkBlock } from "./fork-choice.js";
import { genesisBlock, genesisState, processBlock, stateRoot, type State } from "./state.js";

/** Attestation data with raw signatures kept; the oldest go first. Many slots of a partition. */
const RAW_DATA_MAX = 64;

export interface StoredBlock extends ForkBlock {
  block: Block;
  /** Dropped once finalized. */
  proofs: Uint8Array[];
  signature: Uint8Array;
}

/** The raw signatures of one attestation data that no proof of ours represents. */
export interface RawVotes {
  data: AttestationData;
  message: Uint8Array;
  signatures: Map<number, Uint8Array>;
}

type LatestVotes = Map<number, { slot: number; head: RootHex }>;
type ImportAnswer = "imported" | "known" | "orphan";

export class Store {
  readonly blocks = new Map<RootHex, StoredBlock>();
  readonly states = new Map<RootHex, State>();
  /** By message, in order of arrival. */
  readonly raws = new Map<RootHex, RawVotes>();
  readonly pending = new Map<RootHex, Aggregate[]>();
  readonly known = new Map<RootHex, Aggregate[]>();
  readonly genesis: Uint8Array;
  head: RootHex;
  safeTarget: RootHex;
  readonly #pendingVotes: LatestVotes = new Map();
  readonly #knownVotes: LatestVotes = new Map();
  #justified: Checkpoint;

  constructor(readonly validators: number) {
    const block = genesisBlock();
    this.genesis = blockRoot(block);
    this.head = this.safeTarget = hex(this.genesis);
    const unproved = { proofs: [], signature: new Uint8Array() };
    this.blocks.set(this.head, { block, ...unproved, root: this.genesis, slot: 0, parent: "" });
    this.states.set(this.head, genesisState(validators, this.genesis));
    this.#justified = { root: this.genesis, slot: 0 };
  }

  get headState(): State {
    return this.stateOf(this.head);
  }

  get headBlock(): StoredBlock {
    const block = this.blocks.get(this.head);
    if (block === undefined) throw new Error(`the head ${this.head} is not in the store`);
    return block;
  }

  get justified(): Checkpoint {
    return this.#justified;
  }

  get finalized(): Checkpoint {
    return this.headState.latestFinalized;
  }

  stateOf(root: RootHex): State {
    const state = this.states.get(root);
    if (state === undefined) throw new Error(`no state of block ${root}`);
    return state;
  }

  /** A verified vote. Not kept when a proof of ours represents it already. */
  addVote(vote: Vote): void {
    const message = messageOf(vote.data);
    const key = hex(message);
    if (this.#isRepresented(key, vote.validatorIndex)) return;
    const votes = this.raws.get(key) ?? { data: vote.data, message, signatures: new Map() };
    votes.signatures.set(vote.validatorIndex, vote.signature);
    this.raws.set(key, votes);
    for (const oldest of this.raws.keys()) {
      if (this.raws.size <= RAW_DATA_MAX) break;
      this.raws.delete(oldest);
    }
  }

  /** A verified aggregate: pending, and the raw signatures that it represents go. */
  addAggregate(aggregate: Aggregate): void {
    const key = hex(messageOf(aggregate.data));
    this.pending.set(key, [...(this.pending.get(key) ?? []), aggregate]);
    const voters = aggregate.participants.getTrueBitIndexes();
    note(this.#pendingVotes, aggregate.data, voters);
    const raws = this.raws.get(key);
    for (const validator of voters) raws?.signatures.delete(validator);
    if (raws?.signatures.size === 0) this.raws.delete(key);
  }

  /** Every aggregate of a message, pending or known. */
  aggregatesOf(message: RootHex): Aggregate[] {
    return [...(this.known.get(message) ?? []), ...(this.pending.get(message) ?? [])];
  }

  /** Interval 4, and before a proposal: pending aggregates count from now on. */
  acceptPending(): void {
    for (const [key, aggregates] of this.pending)
      this.known.set(key, [...(this.known.get(key) ?? []), ...aggregates]);
    for (const [validator, vote] of this.#pendingVotes)
      keepLater(this.#knownVotes, validator, vote);
    this.pending.clear();
    this.#pendingVotes.clear();
    this.#updateHead();
  }

  /** Interval 3. */
  updateSafeTarget(): void {
    const votes: LatestVotes = new Map(this.#knownVotes);
    for (const [validator, vote] of this.#pendingVotes) keepLater(votes, validator, vote);
    this.safeTarget = chooseSafeTarget(
      this.blocks,
      hex(this.#justified.root),
      votes,
      this.validators,
    );
  }

  /**
   * What a validator votes for on this head. With `isBehind`, on the head's parent, as if the latest
   * block had not come, where the target allows it: votes of one slot then have two data.
   */
  voteData(slot: number, isBehind = false): AttestationData {
    const { latestJustified, latestFinalized } = this.headState;
    const latest = { justified: latestJustified, finalized: latestFinalized };
    const { root, slot: headSlot } = this.headBlock;
    const target = chooseTarget(this.blocks, this.head, this.safeTarget, latest);
    const seen = isBehind ? this.blocks.get(this.headBlock.parent) : undefined;
    const head =
      seen === undefined || seen.slot < target.slot
        ? { root, slot: headSlot }
        : { root: seen.root, slot: seen.slot };
    return { slot, head, target, source: latestJustified };
  }

  /** Applies a block whose proofs are verified. Throws when it breaks a rule. */
  importBlock({ block, proofs, signature }: BlockWithProofs): ImportAnswer {
    const root = blockRoot(block);
    if (this.blocks.has(hex(root))) return "known";
    const parent = this.states.get(hex(block.parentRoot));
    if (parent === undefined) return "orphan";
    const state = processBlock(parent, block);
    if (hex(stateRoot(state)) !== hex(block.stateRoot))
      throw new Error(`block of slot ${block.slot} claims another state root`);
    const place = { root, slot: block.slot, parent: hex(block.parentRoot) };
    this.blocks.set(hex(root), { block, proofs, signature, ...place });
    this.states.set(hex(root), state);
    for (const { data, participants } of block.body.attestations)
      note(this.#knownVotes, data, participants.getTrueBitIndexes());
    if (state.latestJustified.slot > this.#justified.slot) this.#justified = state.latestJustified;
    this.#updateHead();
    return "imported";
  }

  /** The chain up to the head, from just after the slot on. */
  chainAfter(slot: number): StoredBlock[] {
    const chain: StoredBlock[] = [];
    let at = this.blocks.get(this.head);
    while (at !== undefined && at.slot > slot) {
      chain.unshift(at);
      at = this.blocks.get(at.parent);
    }
    return chain;
  }

  /** Forgets what finality has made moot: votes, aggregates, and the proofs of blocks. */
  prune(): void {
    const { slot: finalized } = this.finalized;
    for (const [key, { data }] of this.raws)
      if (data.target.slot <= finalized) this.raws.delete(key);
    for (const aggregates of [this.pending, this.known])
      for (const [key, [first]] of aggregates)
        if (first === undefined || first.data.target.slot <= finalized) aggregates.delete(key);
    for (const block of this.blocks.values()) if (block.slot <= finalized) block.proofs = [];
  }

  #isRepresented(message: RootHex, validator: number): boolean {
    return this.aggregatesOf(message).some(
      ({ participants: { bitLen }, participants }) =>
        validator < bitLen && participants.get(validator),
    );
  }

  #updateHead(): void {
    this.head = chooseHead(this.blocks, hex(this.#justified.root), this.#knownVotes);
  }
}

function note(votes: LatestVotes, data: AttestationData, validators: readonly number[]): void {
  const vote = { slot: data.slot, head: hex(data.head.root) };
  for (const validator of validators) keepLater(votes, validator, vote);
}

function keepLater(
  votes: LatestVotes,
  validator: number,
  vote: { slot: number; head: RootHex },
): void {
  const earlier = votes.get(validator);
  if (earlier === undefined || earlier.slot < vote.slot) votes.set(validator, vote);
}
