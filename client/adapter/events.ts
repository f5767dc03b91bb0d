/**
 * The vocabulary of the adapter's state machine: what happens to it (events), and what it asks of
 * its shell (effects). `PROTOCOL.md` has their meaning. Every time is in milliseconds of one
 * monotonic clock.
 */

/** The priorities of submissions. Each has an in-flight latch of its own. */
export type AdapterPriority = "proposal" | "aggregation" | "backlog";

/** Why nothing was submitted, in the order of the checks. The server's own reasons come last. */
export const SKIP_REASONS = [
  "not_aggregator",
  "not_synced",
  "missing_state",
  "in_flight",
  "unreachable",
  "invalid",
  "snapshot_threw",
  "predicted_miss",
  "draining",
  "overloaded",
  "no_prover",
] as const;
export type AdapterSkipReason = (typeof SKIP_REASONS)[number];

/** What the node knows about itself at this tick. */
export interface Gates {
  isAggregator: boolean;
  /** Absent: the adapter does not check it. The check has deadlocked a network with one aggregator. */
  isSynced?: boolean;
  /** The node has the state that the snapshot is made from. */
  hasState: boolean;
}

/** When a proof of one session becomes worthless. */
export interface Fence {
  fenceAtMs: number;
  /** The proof is worthless from this slot on, whatever the clock says. Null: the clock decides. */
  fenceSlot: number | null;
}

/** A snapshot that the node submits. */
export interface Submission extends Fence {
  requestId: string;
  priority: AdapterPriority;
  slot: number;
  /** Number of groups. */
  groups: number;
}

/** One accepted group. */
export interface GroupRef {
  requestId: string;
  endpoint: string;
  sessionId: string;
  groupIndex: number;
  slot: number;
}

/** How one group ended at the service. The machine only carries the payload `P`. */
export interface WireOutcome<P> {
  kind: "outcome";
  endpoint: string;
  sessionId: string;
  groupIndex: number;
  slot: number;
  /** Root of the attestation data, in hex. */
  message: string;
  isProof: boolean;
  isLate: boolean;
  /** Bit i of byte i/8 is validator i. */
  participants: Uint8Array;
  payload: P;
}

/** The end of a session at the service. */
export interface WireSummary {
  kind: "summary";
  endpoint: string;
  sessionId: string;
  /** Time since the service received the snapshot. */
  durationMs: number;
}

export type AdapterEvent<P> =
  /** May a snapshot be submitted now? The machine answers with one `go` or `skip`. */
  | { kind: "ask"; slot: number; gates: Gates; priority: AdapterPriority; mayReplace: boolean }
  | { kind: "submitted"; submission: Submission }
  /** `fenceMs` is the fence as the server understood it, from submission on. */
  | { kind: "accepted"; requestId: string; endpoint: string; sessionId: string; fenceMs: number }
  /** The service skipped it, or no endpoint answered (null) and the adapter gave it up. */
  | { kind: "refused"; requestId: string; endpoint: string | null; reason: AdapterSkipReason }
  | { kind: "opened"; endpoint: string; instance: string }
  /** The stream broke, or an attempt to open it failed. */
  | { kind: "disconnected"; endpoint: string }
  | WireOutcome<P>
  | WireSummary
  /** An empty list of sessions: every session of the endpoint may have lost events. */
  | { kind: "gap"; endpoint: string; cause: "trimmed" | "restarted"; sessionIds: string[] }
  /** All that `GetSession` returned has been replayed. `isEnded`: nothing more will come. */
  | { kind: "reconciled"; endpoint: string; sessionId: string; isEnded: boolean }
  | { kind: "verified"; ref: GroupRef; isValid: boolean }
  | { kind: "take"; slot: number }
  | { kind: "tick" }
  | { kind: "closing" }
  | { kind: "closed" };

/** The events of these kinds. */
export type EventOf<P, K extends AdapterEvent<P>["kind"]> = Extract<AdapterEvent<P>, { kind: K }>;

/**
 * How one group ended for the node:
 * - `outcome`: as the service says
 * - `duplicate`: an earlier proof of the same slot and root has all its participants; its bytes are
 *   dropped
 * - `refused`: the node's own verification failed
 * - `lost`: the service restarted, or stayed unreachable until the fence
 */
export type AdapterResult<P> =
  | { kind: "outcome"; ref: GroupRef; payload: P }
  | { kind: "duplicate" | "refused" | "lost"; ref: GroupRef };

export type AdapterEffect<P> =
  /** Submit to this endpoint; after a refusal, submit there again. */
  | { kind: "go"; endpoint: string }
  | { kind: "skip"; reason: AdapterSkipReason }
  | { kind: "verify"; ref: GroupRef; payload: P }
  | { kind: "reconcile"; endpoint: string; sessionId: string }
  | { kind: "deliver"; result: AdapterResult<P> }
  /** To count: the summary of a session came. */
  | { kind: "summarised"; endpoint: string; sessionId: string; durationMs: number }
  /**
   * To count: a proof made after the deadline; a proof past its fence; a lost group; a result that
   * nobody took in time.
   */
  | { kind: "late" | "fenced" | "lost" | "dropped"; ref: GroupRef };
