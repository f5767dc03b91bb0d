/**
 * The events that the adapter's state machine takes, and the effects that it returns for
 * `AdapterShell` to carry out. `PROTOCOL.md` explains both. Every time is in milliseconds of one
 * monotonic clock.
 */

/** The priorities of submissions, highest first. Each has an in-flight latch of its own. */
export type AdapterPriority = "proposal" | "aggregation" | "backlog";

/** Why a snapshot was not accepted, by the adapter or by the service. */
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
  /** Absent: not checked. A network with one aggregator deadlocked because of this check. */
  isSynced?: boolean;
  /** The node has the state that the snapshot is made from. */
  hasState: boolean;
}

/** When a proof of one session becomes worthless. */
export interface Fence {
  fenceAtMs: number;
  /** A proof is worthless from this slot on, even before `fenceAtMs`. Null: only time decides. */
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

/** Names one accepted group. */
export interface GroupRef {
  requestId: string;
  endpoint: string;
  sessionId: string;
  groupIndex: number;
  slot: number;
}

/** How one group ended at the service. The state machine never looks into the payload `P`. */
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
  /** The service has erased the proof's bytes at its fence. Absent: it has not. */
  isErased?: boolean;
  /** Validator i is bit i % 8 of byte i / 8, from the lowest bit. */
  participants: Uint8Array;
  payload: P;
}

/** The end of a session at the service. */
export interface WireSummary {
  kind: "summary";
  endpoint: string;
  sessionId: string;
  /** Milliseconds from the service's receipt of the snapshot to the session's end. */
  durationMs: number;
}

export type AdapterEvent<P> =
  /** May a snapshot be submitted now? The answer is one effect, `go` or `skip`. */
  | { kind: "ask"; slot: number; gates: Gates; priority: AdapterPriority; mayReplace: boolean }
  | { kind: "submitted"; submission: Submission }
  /** `fenceMs`: milliseconds from submission to the fence, as the server understood it. */
  | { kind: "accepted"; requestId: string; endpoint: string; sessionId: string; fenceMs: number }
  /** The service skipped the snapshot. `endpoint` null: the call failed, or none was made. */
  | { kind: "refused"; requestId: string; endpoint: string | null; reason: AdapterSkipReason }
  /** A result stream is up. `instance` is the id of the server's current run. */
  | { kind: "opened"; endpoint: string; instance: string }
  /** A result stream broke, or an attempt to open one failed. */
  | { kind: "disconnected"; endpoint: string }
  | WireOutcome<P>
  | WireSummary
  /**
   * The stream has missed events of these sessions. Empty: maybe of any session of the endpoint.
   */
  | { kind: "gap"; endpoint: string; cause: "trimmed" | "restarted"; sessionIds: string[] }
  /** The outcomes that `GetSession` returned have been applied. `isEnded`: no more will come. */
  | { kind: "reconciled"; endpoint: string; sessionId: string; isEnded: boolean }
  | { kind: "verified"; ref: GroupRef; isValid: boolean }
  | { kind: "take"; slot: number }
  | { kind: "tick" }
  | { kind: "closing" }
  | { kind: "closed" };

/** The events whose kind is in `K`. */
export type EventOf<P, K extends AdapterEvent<P>["kind"]> = Extract<AdapterEvent<P>, { kind: K }>;

/**
 * How one group ended for the node:
 * - `outcome`: as the service reported
 * - `duplicate`: an earlier proof of the same slot and root has all participants of this one, whose
 *   bytes are dropped
 * - `refused`: the node's own verification failed
 * - `lost`: the service restarted, or stayed unreachable until the fence
 */
export type AdapterResult<P> =
  | { kind: "outcome"; ref: GroupRef; payload: P }
  | { kind: "duplicate" | "refused" | "lost"; ref: GroupRef };

export type AdapterEffect<P> =
  /** Submit to this endpoint. In answer to `refused`: submit the same snapshot again, there. */
  | { kind: "go"; endpoint: string }
  | { kind: "skip"; reason: AdapterSkipReason }
  | { kind: "verify"; ref: GroupRef; payload: P }
  | { kind: "reconcile"; endpoint: string; sessionId: string }
  | { kind: "deliver"; result: AdapterResult<P> }
  /** For the metrics: the summary of a session arrived. */
  | { kind: "summarised"; endpoint: string; sessionId: string; durationMs: number }
  /**
   * For the metrics: a proof made after the deadline (`late`); a proof past its fence (`fenced`); a
   * group whose end was never reported (`lost`); a result that the node did not take (`dropped`).
   */
  | { kind: "late" | "fenced" | "lost" | "dropped"; ref: GroupRef };
