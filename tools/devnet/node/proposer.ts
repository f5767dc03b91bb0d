/**
 * A node's blocks where one proof stands for a whole body. The proof is merged ahead of the block's
 * slot, and verified before the key signs, whose leaf signs once. A block whose body has no proof by
 * then is empty: nothing is waited for. Called by the node in its ticks and between them.
 */
import { blockRoot, type Aggregate, type BlockWithProofs } from "../chain/containers.js";
import { assembleBlock, chooseBody } from "../chain/propose.js";
import { proposerOf } from "../chain/state.js";
import type { Store } from "../chain/store.js";
import type { CryptoClient } from "../crypto/crypto-client.js";
import {
  claimsOf,
  type BodyMerger,
  type KeyTables,
  type Merged,
  type MergeAsk,
  type SignedBlockRoot,
} from "./aggregators/body-merger.js";
import { GrowingCandidate, type Candidate } from "./candidate.js";
import type { NodeRecord } from "./records.js";

export interface ProposerOptions extends KeyTables {
  ownValidators: readonly number[];
  /** Messages of a body. */
  componentsMax: number;
  /** Every so many slots the spec's block proof is made too, to measure it. 0: never. */
  blockProofEvery: number;
}

export interface ProposerModules {
  store: Store;
  merger: BodyMerger;
  crypto: Pick<CryptoClient, "sign" | "verifyProof">;
  /** Milliseconds since genesis. */
  sinceGenesisMs(): number;
  record(record: NodeRecord): void;
  /** A signed block of ours. */
  onBlock(block: BlockWithProofs): void;
  onNews(text: string): void;
}

/** A merge that has not ended. `candidate` is null for the spec's block proof. */
interface OpenMerge {
  ask: MergeAsk;
  candidate: Candidate | null;
  sinceMs: number;
}

export class Proposer {
  readonly #candidate = new GrowingCandidate();
  #merges: OpenMerge[] = [];
  /** The spec's block proof that is to begin: not in the callback of a signature, which no tick times. */
  #waiting: OpenMerge | null = null;
  #openSlot = 0;
  #signedSlot = 0;
  /** Until the next tick, after a merge was refused or failed. */
  #isPaused = false;

  constructor(
    private readonly options: ProposerOptions,
    private readonly modules: ProposerModules,
  ) {}

  /** The block of this slot is here or is not awaited: what comes after it may be built. */
  open(slot: number): void {
    this.#openSlot = slot;
  }

  onTick(): void {
    this.#isPaused = false;
  }

  /** Takes what was merged, and begins what is to be merged next. Returns how many of these it did. */
  grow(slot: number): number {
    const merged = this.modules.merger.takeMerged(slot);
    for (const each of merged) void this.#onMerged(each); // never rejects
    for (const merge of this.#merges)
      if (merge.ask.slot < slot) this.#end(merge, "failed", "no proof within its slot");
    return merged.length + this.#beginBlockProof() + this.#growCandidate(slot);
  }

  /** At the start of the slot, in its own slot only. */
  propose(slot: number): void {
    const { store } = this.modules;
    const { componentsMax } = this.options;
    if (!this.#isOurs(slot) || slot <= this.#signedSlot) return;
    this.#signedSlot = slot;
    store.acceptPending();
    const { best, cancel } = this.#candidate.take({ slot, parent: store.head });
    if (cancel !== null) this.#cancel(cancel, "no proof by the slot's start");
    const wanted = chooseBody(store, slot, { componentsMax }).length;
    const chosenAtMs = this.modules.sinceGenesisMs();
    this.#sign(slot, best?.body ?? [], best === null ? [] : [best.proof]).then(
      (block) => this.#onSigned(block, { wanted, chosenAtMs: Math.round(chosenAtMs) }),
      (error: unknown) => this.#news(error),
    );
  }

  #onSigned(signed: BlockWithProofs, ahead: { wanted: number; chosenAtMs: number }): void {
    const { slot, body } = signed.block;
    this.modules.onBlock(signed);
    const attestations = body.attestations.length;
    const atMs = Math.round(this.modules.sinceGenesisMs());
    this.modules.record({ kind: "proposed", slot, attestations, atMs, ...ahead });
  }

  async #sign(
    slot: number,
    body: readonly Aggregate[],
    proofs: Uint8Array[],
  ): Promise<BlockWithProofs> {
    const startMs = performance.now();
    const block = assembleBlock(this.modules.store, slot, body);
    const root = blockRoot(block);
    const validator = block.proposerIndex;
    const signature = await this.modules.crypto.sign(
      validator,
      { message: root, slot },
      "proposal",
    );
    this.#measureBlockProof(slot, body, { root, validator, signature }, startMs);
    return { block, proofs, signature };
  }

  #measureBlockProof(
    slot: number,
    body: readonly Aggregate[],
    signed: SignedBlockRoot,
    sinceMs: number,
  ): void {
    const { blockProofEvery } = this.options;
    if (blockProofEvery === 0 || slot % blockProofEvery !== 0) return;
    this.#waiting = { ask: { slot, body, signed }, candidate: null, sinceMs };
  }

  #beginBlockProof(): number {
    const merge = this.#waiting;
    this.#waiting = null;
    return merge === null ? 0 : this.#begin(merge);
  }

  #growCandidate(slot: number): number {
    const { store } = this.modules;
    const next = slot + 1;
    const isOpen = store.headBlock.slot === slot || this.#openSlot === slot;
    if (!this.#isOurs(next) || !isOpen) return 0;
    const place = { slot: next, parent: store.head };
    const { componentsMax } = this.options;
    const wanted = chooseBody(store, next, { componentsMax, withPending: true });
    const { cancel, start } = this.#candidate.next(place, wanted);
    if (cancel !== null) this.#cancel(cancel, "its parent is stale");
    if (start === null || this.#isPaused) return 0;
    this.#candidate.started(start);
    const ask = { slot: next, body: start.body, signed: null };
    return this.#begin({ ask, candidate: start, sinceMs: performance.now() });
  }

  #begin(merge: OpenMerge): number {
    this.#merges.push(merge);
    const answer = this.modules.merger.startMerge(merge.ask);
    if (answer !== "started") this.#end(merge, "refused", answer);
    return 1;
  }

  async #onMerged({ ask, proof, proveMs, detail }: Merged): Promise<void> {
    const merge = this.#merges.find((each) => each.ask === ask);
    if (merge === undefined) return; // cancelled
    const ms = performance.now() - merge.sinceMs;
    if (proof === null) return this.#end(merge, "failed", detail);
    try {
      if (!(await this.modules.crypto.verifyProof(claimsOf(ask, this.options), proof)))
        return this.#end(merge, "failed", "the proof does not verify");
    } catch (error) {
      return this.#end(merge, "failed", error instanceof Error ? error.message : String(error));
    }
    if (!this.#merges.includes(merge)) return;
    this.#end(merge, "proved", "", { ms: Math.round(ms), proveMs: Math.round(proveMs) }, proof);
  }

  #cancel(candidate: Candidate, detail: string): void {
    const merge = this.#merges.find((each) => each.candidate === candidate);
    if (merge === undefined) return;
    this.modules.merger.cancelMerge(merge.ask);
    this.#end(merge, "cancelled", detail);
  }

  #end(
    merge: OpenMerge,
    status: "proved" | "cancelled" | "refused" | "failed",
    detail: string,
    times = { ms: 0, proveMs: 0 },
    proof: Uint8Array | null = null,
  ): void {
    const { ask, candidate } = merge;
    this.#merges = this.#merges.filter((each) => each !== merge);
    if (candidate !== null) this.#candidate.ended(candidate, proof);
    if (status === "refused" || status === "failed") this.#isPaused = true;
    const components = ask.body.length + (ask.signed === null ? 0 : 1);
    const form = ask.signed === null ? ("body" as const) : ("block" as const);
    const of = { slot: ask.slot, form, components, status, detail };
    this.modules.record({ kind: "merged", ...of, ...times });
  }

  #isOurs(slot: number): boolean {
    return this.options.ownValidators.includes(proposerOf(slot, this.modules.store.validators));
  }

  #news(error: unknown): void {
    this.modules.onNews(error instanceof Error ? error.message : String(error));
  }
}
