/**
 * A lean node, small enough to read: what it does in each interval, and with each thing that comes
 * by gossip. Time, sockets, keys and the prover are given to it.
 */
import { createHash } from "node:crypto";
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
import { Ballots } from "./ballots.js";
import { assertFresh } from "./fresh-results.js";
import type { FrameKind, Gossip } from "./gossip.js";
import type { NodeRecord } from "./records.js";
import { dutiesOf, intervalOf, slotOf, type Duty, type Intervals } from "./slot-time.js";

/** Digests kept; a block repeats proofs of the last few slots. */
const VERIFIED_MAX = 1024;

export interface NodeOptions {
  /** Public keys by validator, of all nodes. */
  keys: readonly Uint8Array[];
  /** Whose votes and proposals this node makes. */
  ownValidators: readonly number[];
  lookaheadSlots: number;
  intervals: Intervals;
  /** Whether each group has the largest proof of its data as a child, as leanSpec folds. */
  foldsChildren: boolean;
  /** From two thirds of the votes to an early start, for those still to come. */
  earlyWaitMs: number;
  lastSlot: number;
}

export interface NodeModules {
  gossip: Pick<Gossip, "broadcast" | "send">;
  crypto: Pick<CryptoClient, "sign" | "verifyVote" | "verifyAggregate">;
  /** Null where this node does not aggregate. */
  aggregator: Aggregator | null;
  /** The slot by the wall clock. */
  currentSlot(): number;
  /** Milliseconds since genesis. */
  sinceGenesisMs(): number;
  record(record: NodeRecord): void;
  /** Runs what belongs to the aggregating interval and times it as its tick. */
  timedAsAggregation(run: () => void): void;
}

export class DevnetNode {
  readonly store: Store;
  readonly #ballots: Ballots;
  readonly #duty: AggregationDuty;
  /** Digests of proofs that were verified: a block repeats what gossip brought. */
  readonly #verified = new Set<string>();
  /** The latest slot whose votes are being signed, or are. */
  #preparedSlot = 0;

  constructor(
    private readonly options: NodeOptions,
    private readonly modules: NodeModules,
  ) {
    this.store = new Store(options.keys.length);
    const onError = (error: Error) => this.#news(error.message);
    this.#ballots = new Ballots(options.ownValidators, {
      sign: (validator, message) => modules.crypto.sign(validator, message),
      onVote: (vote) => this.#castVote(vote),
      onError,
    });
    const { earlyWaitMs } = options;
    this.#duty = new AggregationDuty(
      { validators: options.keys.length, earlyWaitMs },
      (slot, isEarly) => {
        if (isEarly) modules.timedAsAggregation(() => this.#aggregate(slot, isEarly));
        else this.#aggregate(slot, isEarly);
      },
    );
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

  /** Applies and publishes the proofs that are ready. Returns how many. */
  applyResults(): number {
    const slot = this.modules.currentSlot();
    const ready = this.modules.aggregator?.take(slot) ?? [];
    for (const proved of ready) this.#apply(proved, slot);
    return ready.length;
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
          if ((await this.#onBlock(BlockWithProofsSsz.deserialize(bytes))) === "orphan")
            this.#requestBlocks(peer);
          return;
        case "syncRequest":
          return this.#onSyncRequest(peer, SyncRequestSsz.deserialize(bytes).afterSlot);
        case "blocks":
          for (const block of BlocksSsz.deserialize(bytes)) await this.#onBlock(block);
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
    const proposer = proposerOf(slot, this.store.validators);
    if (!this.options.ownValidators.includes(proposer)) return;
    this.store.acceptPending();
    const built = buildBlock(this.store, slot);
    this.store.importBlock(built);
    this.#prepareVotes(slot + this.options.lookaheadSlots);
    this.modules.gossip.broadcast("block", BlockWithProofsSsz.serialize(built));
    const attestations = built.block.body.attestations.length;
    this.modules.record({ kind: "proposed", slot, attestations, atMs: this.#sinceMs() });
  }

  /** Once a slot, as soon as the block that the votes are for is there: signing takes long. */
  #prepareVotes(slot: number): void {
    if (slot <= this.#preparedSlot || slot > this.options.lastSlot) return;
    this.#preparedSlot = slot;
    this.#ballots.prepare(this.store.voteData(slot));
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
    const key = this.options.keys[vote.validatorIndex];
    if (key === undefined) throw new Error(`no validator ${vote.validatorIndex}`);
    const signed = { message: messageOf(vote.data), slot: vote.data.slot };
    if (!(await this.modules.crypto.verifyVote(key, signed, vote.signature)))
      throw new Error(`bad signature of validator ${vote.validatorIndex}`);
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

  #aggregate(slot: number, isEarly: boolean): void {
    const { aggregator, record } = this.modules;
    if (aggregator === null) return;
    const groups = freezeVotes(this.store, slot, this.options.foldsChildren);
    if (groups.length === 0) return;
    const answer = aggregator.submit(slot, () => groups);
    if (answer !== "submitted") return record({ kind: "skipped", slot, reason: answer });
    const shapes = groups.map(({ raws, children }): [number, number] => [
      raws.length,
      children.length,
    ]);
    record({ kind: "submitted", slot, isEarly, groups: shapes });
    this.applyResults(); // inline has them already
  }

  #apply(proved: ProvedGroup, slot: number): void {
    assertFresh(proved, slot);
    const { data, participants: validators, proof, submittedSlot, isLate } = proved;
    const aggregate = { data, participants: participantsOf(validators), proof };
    this.store.addAggregate(aggregate);
    this.#remember(digestOf(aggregate));
    this.modules.gossip.broadcast("aggregate", AggregateSsz.serialize(aggregate));
    const message = hex(messageOf(data));
    const of = { submittedSlot, message, validators, isLate };
    this.modules.record({ kind: "applied", slot, ...of, atMs: this.#sinceMs() });
  }

  async #onAggregate(aggregate: Aggregate): Promise<void> {
    await this.#verify(aggregate);
    this.store.addAggregate(aggregate);
    const message = hex(messageOf(aggregate.data));
    const validators = aggregate.participants.getTrueBitIndexes();
    const slot = this.modules.currentSlot();
    this.modules.record({ kind: "received", slot, message, validators, atMs: this.#sinceMs() });
  }

  /** Throws unless the proof attests exactly its participants. */
  async #verify(aggregate: Aggregate): Promise<void> {
    const digest = digestOf(aggregate);
    if (this.#verified.has(digest)) return;
    const keys = aggregate.participants
      .getTrueBitIndexes()
      .map((validator) => this.options.keys[validator] ?? new Uint8Array());
    const message = messageOf(aggregate.data);
    if (!(await this.modules.crypto.verifyAggregate(keys, message, aggregate.proof)))
      throw new Error("the proof does not verify");
    this.#remember(digest);
  }

  #remember(digest: string): void {
    this.#verified.add(digest);
    const [oldest] = this.#verified;
    if (this.#verified.size > VERIFIED_MAX && oldest !== undefined) this.#verified.delete(oldest);
  }

  async #onBlock(received: BlockWithProofs): Promise<"imported" | "known" | "orphan"> {
    const { block, proofs } = received;
    // Without proofs it is a block that its sender has finalized: taken on trust, as from a
    // checkpoint, since nobody keeps those proofs.
    if (proofs.length > 0) {
      if (proofs.length !== block.body.attestations.length) throw new Error("proofs are missing");
      for (const [at, attestation] of block.body.attestations.entries())
        await this.#verify({ ...attestation, proof: proofs[at] ?? new Uint8Array() });
    }
    const answer = this.store.importBlock(received);
    if (answer === "imported" && block.slot === this.modules.currentSlot())
      this.#prepareVotes(block.slot + this.options.lookaheadSlots);
    return answer;
  }

  #requestBlocks(peer: number): void {
    const { slot: afterSlot } = this.store.finalized;
    this.modules.gossip.send(peer, "syncRequest", SyncRequestSsz.serialize({ afterSlot }));
  }

  #onSyncRequest(peer: number, afterSlot: number): void {
    const blocks = this.store.chainAfter(afterSlot).map(({ block, proofs }) => ({ block, proofs }));
    if (blocks.length > 0) this.modules.gossip.send(peer, "blocks", BlocksSsz.serialize(blocks));
  }

  #sinceMs(): number {
    return Math.round(this.modules.sinceGenesisMs());
  }

  #news(text: string): void {
    this.modules.record({ kind: "news", slot: this.modules.currentSlot(), text });
  }
}

/** Of the proof and all that it is claimed to prove. */
function digestOf(aggregate: Aggregate): string {
  return createHash("sha256").update(AggregateSsz.serialize(aggregate)).digest("hex");
}
