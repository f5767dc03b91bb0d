/**
 * A node's blocks where one proof stands for a whole body. The proof is merged ahead of the block's
 * slot, and verified before the key signs, whose leaf signs once. A block whose body has no proof by
 * then is empty: nothing is waited for. How a body grows is the adapters' machine, whichever way its
 * proofs are made. Called by the node in its ticks and between them.
 */
import {
  CANDIDATE_MERGES_MAX,
  createCandidate,
  growCandidate,
  type CandidateEvent,
  type CandidateState,
} from "../../../client/machine/candidate.js";
import {
  blockRoot,
  hex,
  messageOf,
  type Aggregate,
  type BlockWithProofs,
} from "../chain/containers.js";
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

/** A merge that has not ended. */
interface OpenMerge {
  ask: MergeAsk;
  /** The candidate's name for it; null for the spec's block proof. */
  requestId: string | null;
  sinceMs: number;
}

/** How a merge ended, as its record says. */
type End = Pick<Extract<NodeRecord, { kind: "merged" }>, "status" | "detail" | "ms" | "proveMs">;

type Growth = CandidateEvent<Aggregate, Uint8Array>;

export class Proposer {
  #candidate: CandidateState<Aggregate, Uint8Array>;
  #merges: OpenMerge[] = [];
  /** The spec's block proof that is to begin: not in the callback of a signature, which no tick times. */
  #waiting: OpenMerge | null = null;
  #asked = 0;
  #openSlot = 0;
  #signedSlot = 0;

  constructor(
    private readonly options: ProposerOptions,
    private readonly modules: ProposerModules,
  ) {
    const mergesMax = modules.merger.canReplace ? CANDIDATE_MERGES_MAX : 1;
    this.#candidate = createCandidate(options.componentsMax, mergesMax);
  }

  /** The block of this slot is here or is not awaited: what comes after it may be built. */
  open(slot: number): void {
    this.#openSlot = slot;
  }

  /** What was refused or failed is tried once more. */
  onTick(slot: number): void {
    this.#grow({ kind: "tick", slot });
  }

  /** Takes what was merged, and begins what is to be merged next. Returns how many of these it did. */
  grow(slot: number): number {
    const asked = this.#asked;
    const merged = this.modules.merger.takeMerged(slot);
    for (const each of merged) void this.#onMerged(each); // never rejects
    for (const merge of this.#merges)
      if (merge.ask.slot < slot) this.#end(merge, failedFor("no proof within its slot"));
    if (this.#waiting !== null) this.#begin(this.#waiting);
    this.#waiting = null;
    this.#offer(slot);
    return merged.length + this.#asked - asked;
  }

  /** At the start of the slot, in its own slot only. */
  propose(slot: number): void {
    const { store } = this.modules;
    const { componentsMax } = this.options;
    if (!this.#isOurs(slot) || slot <= this.#signedSlot) return;
    this.#signedSlot = slot;
    store.acceptPending();
    const effects = this.#grow({ kind: "take", slot, parent: store.head });
    const best = effects.find((effect) => effect.kind === "taken")?.candidate ?? null;
    const wanted = chooseBody(store, slot, { componentsMax }).length;
    const chosenAtMs = this.modules.sinceGenesisMs();
    this.#sign(slot, best?.components ?? [], best === null ? [] : [best.proof]).then(
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
    this.#waiting = { ask: { slot, body, signed }, requestId: null, sinceMs };
  }

  /** Says what the next block's body may have by now. */
  #offer(slot: number): void {
    const { store } = this.modules;
    const { componentsMax } = this.options;
    const next = slot + 1;
    const isOpen = store.headBlock.slot === slot || this.#openSlot === slot;
    if (!this.#isOurs(next) || !isOpen) return;
    const components = chooseBody(store, next, { componentsMax, withPending: true }).map(offered);
    this.#grow({ kind: "offered", slot: next, parent: store.head, components });
  }

  #grow(event: Growth) {
    const { state, effects } = growCandidate(this.#candidate, event);
    this.#candidate = state;
    for (const effect of effects) {
      if (effect.kind === "submit") this.#submit(effect.slot, effect.components);
      if (effect.kind !== "cancel") continue;
      const isLate = event.kind === "take" || event.kind === "tick";
      this.#cancel(effect.requestId, isLate ? "no proof by the slot's start" : "stale parent");
    }
    return effects;
  }

  #submit(slot: number, body: readonly Aggregate[]): void {
    const requestId = String(this.#asked);
    this.#grow({ kind: "submitted", requestId });
    this.#begin({ ask: { slot, body, signed: null }, requestId, sinceMs: performance.now() });
  }

  #begin(merge: OpenMerge): void {
    this.#asked += 1;
    this.#merges.push(merge);
    const answer = this.modules.merger.startMerge(merge.ask);
    if (answer === "started") return;
    const refused = { ...failedFor(answer), status: "refused" } as const;
    const end = answer === "predicted_miss" ? "missed" : "failed";
    this.#end(merge, refused, { ...noProof, end });
  }

  async #onMerged({ ask, end, proof, proveMs, detail, bad }: Merged): Promise<void> {
    const merge = this.#merges.find((each) => each.ask === ask);
    if (merge === undefined) return; // cancelled
    const ms = performance.now() - merge.sinceMs;
    const fault = proof === null ? detail : await this.#faultOf(ask, proof);
    if (!this.#merges.includes(merge)) return;
    if (end === "superseded")
      return this.#end(merge, { ...failedFor(detail), status: "cancelled" }, { ...noProof, end });
    if (proof === null || fault !== null)
      return this.#end(merge, failedFor(fault ?? detail), { ...noProof, end, bad });
    const times = { ms: Math.round(ms), proveMs: Math.round(proveMs) };
    this.#end(merge, { status: "proved", detail: "", ...times }, { ...noProof, proof });
  }

  /** Why the proof is refused; null: it attests exactly what was asked. */
  async #faultOf(ask: MergeAsk, proof: Uint8Array): Promise<string | null> {
    try {
      const isGood = await this.modules.crypto.verifyProof(claimsOf(ask, this.options), proof);
      return isGood ? null : "the proof does not verify";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #cancel(requestId: string, detail: string): void {
    const merge = this.#merges.find((each) => each.requestId === requestId);
    if (merge === undefined) return;
    this.modules.merger.cancelMerge(merge.ask);
    this.#end(merge, { ...failedFor(detail), status: "cancelled" });
  }

  #end(
    merge: OpenMerge,
    how: End,
    { end, proof, bad }: Pick<Merged, "end" | "proof" | "bad"> = noProof,
  ): void {
    const { ask, requestId } = merge;
    this.#merges = this.#merges.filter((each) => each !== merge);
    const components = ask.body.length + (ask.signed === null ? 0 : 1);
    const form = ask.signed === null ? "body" : "block";
    this.modules.record({ kind: "merged", slot: ask.slot, form, components, ...how });
    if (requestId === null) return;
    if (proof !== null) this.#grow({ kind: "proved", requestId, proof, isVerified: true });
    else if (end === "missed" || end === "superseded") this.#grow({ kind: end, requestId });
    else if (how.status === "refused") this.#grow({ kind: "skipped", requestId, isFinal: false });
    else this.#grow({ kind: "failed", requestId, bad });
  }

  #isOurs(slot: number): boolean {
    return this.options.ownValidators.includes(proposerOf(slot, this.modules.store.validators));
  }

  #news(error: unknown): void {
    this.modules.onNews(error instanceof Error ? error.message : String(error));
  }
}

const noProof: Pick<Merged, "end" | "proof" | "bad"> = { end: "failed", proof: null, bad: [] };

const failedFor = (detail: string): End => ({ status: "failed", detail, ms: 0, proveMs: 0 });

function offered(component: Aggregate) {
  const { data, participants } = component;
  const key = `${hex(messageOf(data))} ${hex(participants.uint8Array)}`;
  return { key, worth: participants.getTrueBitIndexes().length, component };
}
