/** What the node sees of aggregation, whichever way the proof is made. */
import type { AttestationData } from "../../chain/containers.js";
import type { VoteGroup } from "../../chain/freeze-votes.js";

export const MODES = ["inline", "worker", "remote", "sidecar", "go"] as const;
export type Mode = (typeof MODES)[number];

/** Whether the service makes the proofs. */
export const isServed = (mode: Mode): boolean => mode !== "inline" && mode !== "worker";

/** A proof to apply and publish. */
export interface ProvedGroup {
  /** Slot of submission: the fence counts from it. */
  submittedSlot: number;
  data: AttestationData;
  participants: number[];
  proof: Uint8Array;
  /** Made after the deadline of its session, before its fence. */
  isLate: boolean;
}

/** `backlog`: votes of earlier slots, where they have a session of their own. */
export type SessionPriority = "aggregation" | "backlog";

/** `skipped`: why the session was not submitted, or null. */
export interface Submission {
  priority: SessionPriority;
  skipped: string | null;
}

export interface Aggregator {
  /**
   * Takes a snapshot, or says why not, for each session that is made of it; `snapshot` is called only if one
   * may be taken. Where the proof is made elsewhere it returns at once.
   */
  submit(slot: number, snapshot: () => VoteGroup[]): Submission[];
  /** Every proof that is ready, none past its fence. */
  take(currentSlot: number): ProvedGroup[];
  close(): Promise<void>;
}

/** Worthless from the start of slot N+2 on. */
export function isPastFence(submittedSlot: number, currentSlot: number): boolean {
  return currentSlot >= submittedSlot + 2;
}
