/**
 * The words of the adapter's state machine: what can happen to it (events) and what it asks of
 * its shell (effects). `PROTOCOL.md` says what they mean; times are milliseconds of one monotonic
 * clock.
 */

/** The kinds of session that each hold a latch of their own. */
export type AdapterPriority = "proposal" | "aggregation" | "backlog";

/** Why nothing was submitted, in the order in which they are looked at; the server's own last. */
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
  /** Left out: not asked. It has deadlocked a network whose only aggregator was behind. */
  isSynced?: boolean;
  /** The state that the snapshot is made of is at hand. */
  hasState: boolean;
}

/** When a proof of one session becomes worthless. */
export interface Fence {
  fenceAtMs: number;
  /** The first slot at which it is worthless whatever the clock says; null: the clock alone. */
  fenceSlot: number | null;
}

/** A submission of which the answer is not known yet. */
export interface Submission extends Fence {
  requestId: string;
  priority: AdapterPriority;
  slot: number;
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

/** How one group ended on the wire, and its payload `P`, which the machine only carries. */
export interface WireOutcome<P> {
  type: "outcome";
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

export interface WireSummary {
  type: "summary";
  endpoint: string;
  sessionId: string;
  /** From the service's receipt of the snapshot. */
  durationMs: number;
}

export type AdapterEvent<P> =
  /** May a snapshot be submitted now? Answered by one `go` or `skip`. */
  | { type: "ask"; slot: number; gates: Gates; priority: AdapterPriority; mayReplace: boolean }
  | { type: "submitted"; submission: Submission }
  /** `fenceMs` as the server understood it, from submission. */
  | { type: "accepted"; requestId: string; endpoint: string; sessionId: string; fenceMs: number }
  /** By the service, or by the adapter when no endpoint answered (null). */
  | { type: "refused"; requestId: string; endpoint: string | null; reason: AdapterSkipReason }
  | { type: "opened"; endpoint: string; instance: string }
  /** The stream broke, or an attempt to open it failed. */
  | { type: "disconnected"; endpoint: string }
  | WireOutcome<P>
  | WireSummary
  /** No session named: any may be concerned. */
  | { type: "gap"; endpoint: string; cause: "trimmed" | "restarted"; sessionIds: string[] }
  /** All that `GetSession` knows has been replayed; ended: nothing more will come. */
  | { type: "reconciled"; endpoint: string; sessionId: string; isEnded: boolean }
  | { type: "verified"; ref: GroupRef; isValid: boolean }
  | { type: "take"; slot: number }
  | { type: "tick" }
  | { type: "closing" }
  | { type: "closed" };

/**
 * - `outcome`: as the service ended it
 * - `duplicate`: a proof that adds nobody to one of the same slot and root; its bytes are dropped
 * - `refused`: the node's own check did not accept the proof
 * - `lost`: the service restarted, or stayed unreachable until the fence
 */
export type AdapterResult<P> =
  | { kind: "outcome"; ref: GroupRef; payload: P }
  | { kind: "duplicate" | "refused" | "lost"; ref: GroupRef };

export type AdapterEffect<P> =
  /** Submit, or submit again what was refused, to this endpoint. */
  | { type: "go"; endpoint: string }
  | { type: "skip"; reason: AdapterSkipReason }
  | { type: "verify"; ref: GroupRef; payload: P }
  | { type: "reconcile"; endpoint: string; sessionId: string }
  | { type: "deliver"; result: AdapterResult<P> }
  /** For counting: a session's summary came. */
  | { type: "summarised"; endpoint: string; sessionId: string; durationMs: number }
  /**
   * For counting: a proof past the deadline; one past its fence; a group lost; a result that was
   * not taken and made room.
   */
  | { type: "late" | "fenced" | "lost" | "dropped"; ref: GroupRef };
