/** What is simulated: a network whose aggregators and proposers share provers. */
import type { Cores } from "../measured/core-costs.js";

/**
 * Who proves: the service; the service without its rule that the last idle lane is left to votes; or a
 * worker that takes everything in the order in which it comes.
 */
export type By = "service" | "without the rule" | "worker";

export interface BlockScenario {
  seed: number;
  by: By;
  lanes: number;
  /** Of each lane. */
  cores: Cores;
  slotMs: number;
  /** With blocks that count, after those in which the service learns its devices. */
  slots: number;
  /** Nodes that aggregate in each slot, each the votes for a message of its own. */
  aggregators: number;
  /** Raw signatures of each. */
  votes: number;
  /** Messages of each body that are proved already when the slot before the block begins; null: no bodies. */
  known: number | null;
  /** Whether a body may also have what the aggregators prove in the slot before the block. */
  hasFresh: boolean;
  /** Whether the spec's block proof, with the proposer's signature, is made in the block's slot. */
  hasBlockProofs: boolean;
  /** Chance in a slot that the prover of a lane is killed from outside. */
  kills: number;
}

/** What became of one slot. */
export interface SlotResult {
  /** When the proof of each aggregator's votes was there, from the slot's start; Infinity: never. */
  votesMs: number[];
  /** Messages of the block's body at its slot's start. */
  made: number;
  /** From the block's signature to the spec's block proof; Infinity: none in its slot. */
  blockProofMs: number | undefined;
}
