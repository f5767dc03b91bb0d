/**
 * A lean node, small enough to read: what it does in each interval, and with each thing that comes
 * by gossip. Time, sockets, keys and the prover are given to it.
 */
import {
  AggregateSsz,
  BlockWithProofsSsz,
  BlocksSsz,
  hex,
  messageOf,
  participantsOf,
  SyncRequestSsz,
  VoteSsz,
  type Aggregate,
  type BlockWithProofs,
  type Vote,
} from "../chain/containers.js";
import { freezeVotes } from "../chain/freeze-votes.js";
import { buildBlock } from "../chain/propose.js";
import { proposerOf } from "../chain/state.js";
import { Store } from "../chain/store.js";
import type { CryptoClient } from "../crypto/crypto-client.js";
import { AggregationDuty } from "./aggregation-duty.js";
import type { Aggregator, ProvedGroup } from "./aggregators/aggregator.js";
import type { BodyMerger } from "./aggregators/body-merger.js";
import { Ballots } from "./ballots.js";
import { assertFresh } from "./fresh-results.js";
import type { FrameKind, Gossip } from "./gossip.js";
import { ProofChecks, type CheckOptions } from "./proof-checks.js";
import { Proposer } from "./proposer.js";
import type { NodeRecord } from "./records.js";
import { dutiesOf, intervalOf, slotOf, type Duty, type Intervals } from "./slot-time.js";

/** Public keys are those of all nodes. */
export interface NodeOptions extends CheckOptions {
  /** Whose votes and proposals this node makes. */
  ownValidators: readonly number[];
  lookaheadSlots: number;
  intervals: Intervals;
  /** Whether each group has the largest proof of its data as a child, as leanSpec folds. */
  foldsChildren: boolean;
  /** Whether validators of odd index vote as if the latest block had not come. */
  hasTwoViews: boolean;
  /** See `Proposer`. */
  blockProofEvery: number;
  /** From two thirds of the votes to an early start, for those still to come. */
  earlyWaitMs: number;
  lastSlot: number;
}

export interface NodeModules {
  gossip: Pick<Gossip, "broadcast" | "send">;
  crypto: Pick<CryptoClient, "sign" | "verifySignature" | "verifyProof">;
  /** Null where this node does not aggregate. */
  aggregator: Aggregator | null;
  /** Null where blocks have a proof for each attestation, and where this node has none to make. */
  merger: BodyMerger | null;
  /** The slot by the wall clock. */
  currentSlot(): number;
  /** Milliseconds since genesis. */
  sinceGenesisMs(): number;
  record(record: NodeRecord): void;
  /**
   * Runs what belongs to the aggregating interval, and times it as its tick if anything was taken, which
   * `run` and it return.
   */
  timedAsAggregation(run: () => boolean): boolean;
}

export class DevnetNode {
  readonly store: Store;
  readonly #ballots: Ballots;
  readonly #duty: AggregationDuty;
  readonly #checks: ProofChecks;
  readonly #proposer: Proposer | null;
  /** The latest slot whose votes are being signed, or are. */
  #preparedSlot = 0;

  constructor(
    private readonly options: NodeOptions,
    private readonly modules: NodeModules,
  ) {
    this.store = new Store(options.keys.length);
    const onError = (error: Error) => this.#news(error.message);
    this.#checks = new ProofChecks(options, modules.crypto);
    const { merger } = modules;
    this.#proposer = merger === null ? null : this.#startProposer(merger);
    this.#ballots = new Ballots(options.ownValidators, {
      sign: (validator, message) => modules.crypto.sign(validator, message, "attestation"),
      onVote: (vote) => this.#castVote(vote),
      onError,
    });
    const { earlyWaitMs } = options;
    this.#duty = new AggregationDuty(
      { validators: options.keys.length, earlyWaitMs },
      (slot, isEarly) =>
        isEarly
          ? modules.timedAsAggregation(() => this.#aggregate(slot, isEarly))
          : this.#aggregate(slot, isEarly),
    );
  }

  #startProposer(merger: BodyMerger): Proposer {
    const { crypto, record, sinceGenesisMs } = this.modules;
    return new Proposer(this.options, {
      store: this.store,
      merger,
      crypto,
      record,
      sinceGenesisMs,
      onBlock: (block) => this.#publish(block),
      onNews: (text) => this.#news(text),
    });
  }

  /** Signs for the slots that no block comes before. */
  prepareFirstVotes(fromSlot: number): void {
    for (let ahead = 0; ahead < this.options.lookaheadSlots; ahead++)
      this.#prepareVotes(fromSlot + ahead);
  }

  onTick(tick: number): void {
    const { intervals } = this.options;
    const slot = slotOf(tick, intervals);
    // After a stall the store catches up on all ticks, but duties of a slot that is over are void.
    const isCurrent = slot === this.modules.currentSlot();
    this.#proposer?.onTick(slot);
    this.applyResults();
    for (const duty of dutiesOf(intervalOf(tick, intervals), intervals))
      this.#perform(duty, slot, isCurrent);
  }

  #perform(duty: Duty, slot: number, isCurrent: boolean): void {
    switch (duty) {
      case "propose":
        if (isCurrent && slot > 0) this.#propose(slot);
        return;
      case "vote":
        if (!isCurrent || slot === 0) return;
        this.#prepareVotes(slot + this.options.lookaheadSlots); // if no block came
        this.#ballots.open(slot);
        return;
      case "aggregate":
        this.#proposer?.open(slot);
        if (isCurrent && slot > 0 && this.modules.aggregator !== null) this.#duty.onInterval(slot);
        return;
      case "safe target":
        this.store.updateSafeTarget();
        return;
      case "accept":
        this.store.acceptPending();
        this.store.prune();
        return;
    }
  }

  /** Applies and publishes the proofs that are ready, and goes on with its body. Returns how much. */
  applyResults(): number {
    const slot = this.modules.currentSlot();
    const ready = this.modules.aggregator?.take(slot) ?? [];
    for (const proved of ready) this.#apply(proved, slot);
    return ready.length + (this.#proposer?.grow(slot) ?? 0);
  }

  /** A link is up: send what the peer may have missed, and ask for the same. */
  onPeer(peer: number): void {
    for (const vote of this.#ballots.recent())
      this.modules.gossip.send(peer, "vote", VoteSsz.serialize(vote));
    this.#requestBlocks(peer);
  }

  async onFrame(peer: number, kind: FrameKind, bytes: Uint8Array): Promise<void> {
    try {
      switch (kind) {
        case "vote":
          return await this.#onVote(VoteSsz.deserialize(bytes));
        case "aggregate":
          return await this.#onAggregate(AggregateSsz.deserialize(bytes));
        case "block":
          if ((await this.#onBlock(BlockWithProofsSsz.deserialize(bytes), false)) === "orphan")
            this.#requestBlocks(peer);
          return;
        case "syncRequest":
          return this.#onSyncRequest(peer, SyncRequestSsz.deserialize(bytes).afterSlot);
        case "blocks":
          for (const block of BlocksSsz.deserialize(bytes)) await this.#onBlock(block, true);
          return;
        case "hello":
          return;
      }
    } catch (error) {
      this.#news(`${kind} of node ${peer}: ${error instanceof Error ? error.message : "refused"}`);
    }
  }

  close(): void {
    this.#duty.cancel();
  }

  #propose(slot: number): void {
    if (this.#proposer !== null) return this.#proposer.propose(slot);
    const proposer = proposerOf(slot, this.store.validators);
    if (!this.options.ownValidators.includes(proposer)) return;
    this.store.acceptPending();
    const built = buildBlock(this.store, slot);
    this.#publish(built);
    const attestations = built.block.body.attestations.length;
    this.modules.record({ kind: "proposed", slot, attestations, atMs: this.#sinceMs() });
  }

  #publish(built: BlockWithProofs): void {
    this.store.importBlock(built);
    this.#prepareVotes(built.block.slot + this.options.lookaheadSlots);
    this.modules.gossip.broadcast("block", BlockWithProofsSsz.serialize(built));
  }

  /** Once a slot, as soon as the block that the votes are for is there: signing takes long. */
  #prepareVotes(slot: number): void {
    if (slot <= this.#preparedSlot || slot > this.options.lastSlot) return;
    this.#preparedSlot = slot;
    const { hasTwoViews } = this.options;
    const data = this.store.voteData(slot);
    const behind = hasTwoViews ? this.store.voteData(slot, true) : data;
    this.#ballots.prepare((validator) => (validator % 2 === 1 ? behind : data));
  }

  #castVote(vote: Vote): void {
    this.modules.gossip.broadcast("vote", VoteSsz.serialize(vote));
    const message = hex(messageOf(vote.data));
    const { validatorIndex: validator } = vote;
    const { slot } = vote.data;
    this.modules.record({ kind: "voted", slot, validator, message, atMs: this.#sinceMs() });
    this.#storeVote(vote);
  }

  async #onVote(vote: Vote): Promise<void> {
    if (this.modules.aggregator === null) return; // raw signatures are for aggregators
    await this.#checks.vote(vote);
    this.#storeVote(vote);
  }

  #storeVote(vote: Vote): void {
    if (this.modules.aggregator === null) return;
    this.store.addVote(vote);
    const slot = this.modules.currentSlot();
    if (vote.data.slot === slot) this.#duty.onVotes(slot, this.#rawVotesOf(slot));
  }

  #rawVotesOf(slot: number): number {
    let votes = 0;
    for (const { data, signatures } of this.store.raws.values())
      if (data.slot === slot) votes += signatures.size;
    return votes;
  }

  /** Returns whether anything was taken. */
  #aggregate(slot: number, isEarly: boolean): boolean {
    const { aggregator, record } = this.modules;
    if (aggregator === null) return false;
    const groups = freezeVotes(this.store, slot, this.options.foldsChildren);
    if (groups.length === 0) return false;
    const submissions = aggregator.submit(slot, () => groups);
    for (const { priority, skipped: reason } of submissions)
      if (reason !== null) record({ kind: "skipped", slot, priority, reason });
    const sessions = submissions.filter(({ skipped }) => skipped === null).length;
    if (sessions === 0) return false;
    const shapes = groups.map(({ raws, children }): [number, number] => [
      raws.length,
      children.length,
    ]);
    record({ kind: "submitted", slot, isEarly, groups: shapes, sessions });
    this.applyResults(); // inline has them already
    return true;
  }

  #apply(proved: ProvedGroup, slot: number): void {
    assertFresh(proved, slot);
    const { data, participants: validators, proof, submittedSlot, isLate } = proved;
    const aggregate = { data, participants: participantsOf(validators), proof };
    this.store.addAggregate(aggregate);
    this.#checks.remember(aggregate);
    this.modules.gossip.broadcast("aggregate", AggregateSsz.serialize(aggregate));
    const message = hex(messageOf(data));
    const of = { submittedSlot, message, validators, isLate };
    this.modules.record({ kind: "applied", slot, ...of, atMs: this.#sinceMs() });
  }

  async #onAggregate(aggregate: Aggregate): Promise<void> {
    await this.#checks.aggregate(aggregate);
    this.store.addAggregate(aggregate);
    const message = hex(messageOf(aggregate.data));
    const validators = aggregate.participants.getTrueBitIndexes();
    const slot = this.modules.currentSlot();
    this.modules.record({ kind: "received", slot, message, validators, atMs: this.#sinceMs() });
  }

  async #onBlock(
    received: BlockWithProofs,
    wasAskedFor: boolean,
  ): Promise<"imported" | "known" | "orphan"> {
    await this.#checks.block(received, wasAskedFor);
    const answer = this.store.importBlock(received);
    const { slot } = received.block;
    if (answer === "imported" && slot === this.modules.currentSlot())
      this.#prepareVotes(slot + this.options.lookaheadSlots);
    return answer;
  }

  #requestBlocks(peer: number): void {
    const { slot: afterSlot } = this.store.finalized;
    this.modules.gossip.send(peer, "syncRequest", SyncRequestSsz.serialize({ afterSlot }));
  }

  #onSyncRequest(peer: number, afterSlot: number): void {
    const blocks = this.store
      .chainAfter(afterSlot)
      .map(({ block, proofs, signature }) => ({ block, proofs, signature }));
    if (blocks.length > 0) this.modules.gossip.send(peer, "blocks", BlocksSsz.serialize(blocks));
  }

  #sinceMs(): number {
    return Math.round(this.modules.sinceGenesisMs());
  }

  #news(text: string): void {
    this.modules.record({ kind: "news", slot: this.modules.currentSlot(), text });
  }
}
