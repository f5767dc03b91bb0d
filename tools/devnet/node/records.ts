/** What a node reports of its run: one record a line of the run's file. */
import type { RootHex } from "../chain/containers.js";
import type { SessionPriority } from "./aggregators/aggregator.js";

/** How long one interval's tick held the thread, and how late it began. */
export interface TickRecord {
  /** Of the slot; or `results`: proofs were applied between two intervals. */
  interval: number | "results";
  durationMs: number;
  /** Null for what has no time of its own: results, and an early start. */
  lateMs: number | null;
  /**
   * Of the aggregating interval, where the votes were asked for early: two records, of which this one is not
   * counted as its tick. It is the interval's own if anything was taken early, else the early one.
   */
  isExtra?: true;
}

export type NodeRecord =
  /** At the end of each slot. Counters are those of this run of the node so far. */
  | {
      kind: "slot";
      slot: number;
      headSlot: number;
      justifiedSlot: number;
      finalizedSlot: number;
      ticks: TickRecord[];
      skips: Record<string, number>;
      /** Of `lean_aggregator_worker_duration_seconds`. */
      sessions: { count: number; seconds: number };
    }
  /** `atMs` of a record: milliseconds since genesis. */
  | { kind: "voted"; slot: number; validator: number; message: RootHex; atMs: number }
  | {
      kind: "proposed";
      slot: number;
      attestations: number;
      atMs: number;
      /** Where bodies have one proof: attestations with every proof at hand, and when that was asked. */
      wanted?: number;
      chosenAtMs?: number;
    }
  /**
   * A merge for the block of this slot: a proof of its body, or of its body and the proposer's
   * signature. `ms`: from its start, or from before the signature, to the proof; `proveMs`: the prover's.
   */
  | {
      kind: "merged";
      slot: number;
      form: "body" | "block";
      /** Messages. */
      components: number;
      status: "proved" | "cancelled" | "refused" | "failed";
      detail: string;
      ms: number;
      proveMs: number;
    }
  /**
   * What the aggregator has taken of a slot: so many sessions, one in older recordings. Groups are raw
   * signatures and children of each that it was given.
   */
  | {
      kind: "submitted";
      slot: number;
      isEarly: boolean;
      groups: [number, number][];
      sessions?: number;
    }
  /** One of a slot's sessions. In modes that prove in the node's process all groups are one. */
  | { kind: "skipped"; slot: number; priority: SessionPriority; reason: string }
  /** A proof of our own, applied and published. */
  | {
      kind: "applied";
      slot: number;
      submittedSlot: number;
      message: RootHex;
      validators: number[];
      isLate: boolean;
      atMs: number;
    }
  /** A proof that the prover in this node's process has made, of votes or of a body. */
  | { kind: "prover"; busySeconds: number; proofs: number }
  /** Another node's proof, verified and stored. */
  | { kind: "received"; slot: number; message: RootHex; validators: number[]; atMs: number }
  /** What was refused, lost or unproved, in words. */
  | { kind: "news"; slot: number; text: string }
  /** The node's last words: its chain, from genesis on. */
  | { kind: "end"; chain: { slot: number; proposer: number }[]; finalizedSlot: number };
