/** What a node verifies before it counts: votes' signatures, aggregates, and blocks with their proofs. */
import { createHash } from "node:crypto";
import {
  AggregateSsz,
  blockRoot,
  messageOf,
  type Aggregate,
  type BlockWithProofs,
  type Vote,
} from "../chain/containers.js";
import type { CryptoClient } from "../crypto/crypto-client.js";
import { bodyClaims, keyOf, type KeyTables } from "./aggregators/body-merger.js";

/** Digests kept; a block repeats proofs of the last few slots. */
const VERIFIED_MAX = 1024;

export interface CheckOptions extends KeyTables {
  /** Messages of a body that has one proof, in a signed block. 0: a proof for each attestation. */
  componentsMax: number;
}

/** Every check throws for what is to be dropped. */
export class ProofChecks {
  /** Digests of proofs that were verified: a block repeats what gossip brought. */
  readonly #verified = new Set<string>();

  constructor(
    private readonly options: CheckOptions,
    private readonly crypto: Pick<CryptoClient, "verifySignature" | "verifyProof">,
  ) {}

  async vote({ data, validatorIndex, signature }: Vote): Promise<void> {
    const key = this.options.keys[validatorIndex];
    if (key === undefined) throw new Error(`no validator ${validatorIndex}`);
    const signed = { message: messageOf(data), slot: data.slot };
    if (!(await this.crypto.verifySignature(key, signed, signature)))
      throw new Error(`bad signature of validator ${validatorIndex}`);
  }

  /** The proof attests exactly its participants. */
  async aggregate(aggregate: Aggregate): Promise<void> {
    const digest = digestOf(aggregate);
    if (this.#verified.has(digest)) return;
    const claims = bodyClaims([aggregate], this.options.keys);
    if (!(await this.crypto.verifyProof(claims, aggregate.proof)))
      throw new Error("the proof does not verify");
    this.remember(aggregate);
  }

  /** A proof of our own. */
  remember(aggregate: Aggregate): void {
    this.#verified.add(digestOf(aggregate));
    const [oldest] = this.#verified;
    if (this.#verified.size > VERIFIED_MAX && oldest !== undefined) this.#verified.delete(oldest);
  }

  /**
   * Without proofs it may be a block that its sender has finalized, if it was asked for: taken on trust,
   * as from a checkpoint, since nobody keeps those proofs.
   */
  async block(received: BlockWithProofs, wasAskedFor: boolean): Promise<void> {
    const { block, proofs } = received;
    const { attestations } = block.body;
    const isSigned = this.options.componentsMax > 0;
    if (isSigned) await this.#proposer(received);
    if (attestations.length === 0 || (proofs.length === 0 && wasAskedFor)) return;
    if (isSigned) return this.#body(received);
    if (proofs.length !== attestations.length) throw new Error("proofs are missing");
    for (const [at, attestation] of attestations.entries())
      await this.aggregate({ ...attestation, proof: proofs[at] ?? new Uint8Array() });
  }

  async #proposer({ block, signature }: BlockWithProofs): Promise<void> {
    const key = keyOf(this.options.proposalKeys, block.proposerIndex);
    const signed = { message: blockRoot(block), slot: block.slot };
    if (!(await this.crypto.verifySignature(key, signed, signature)))
      throw new Error(`bad signature of proposer ${block.proposerIndex}`);
  }

  async #body({ block, proofs }: BlockWithProofs): Promise<void> {
    const { attestations } = block.body;
    const { componentsMax, keys } = this.options;
    if (attestations.length > componentsMax)
      throw new Error(`the body has ${attestations.length} attestations, at most ${componentsMax}`);
    const [proof] = proofs;
    if (proof === undefined || proofs.length > 1)
      throw new Error(`the body has ${proofs.length} proofs, expected one`);
    if (!(await this.crypto.verifyProof(bodyClaims(attestations, keys), proof)))
      throw new Error("the body's proof does not verify");
  }
}

/** Of the proof and all that it is claimed to prove. */
function digestOf(aggregate: Aggregate): string {
  return createHash("sha256").update(AggregateSsz.serialize(aggregate)).digest("hex");
}
