/**
 * The events that the adapter's machine takes and the effects that it returns, in any language.
 * `PROTOCOL.md` has the rules. Every instant (`…AtMs`) is in milliseconds of one monotonic clock of
 * the node; the machine has no clock of its own.
 */

/** The priorities of submissions, highest first. */
export type AdapterPriority = "proposal" | "aggregation" | "backlog";

/** What the groups of a submission become: proofs of one message each, or of several. */
export type AdapterProofKind = "aggregate" | "merge";

/** Names an in-flight latch: each priority has one for each kind of proof. */
export interface LatchName {
  priority: AdapterPriority;
  /** Absent: `aggregate`. */
  proofKind?: AdapterProofKind;
}

/** Why a snapshot was not submitted or not accepted. */
export const SKIP_REASONS = [
  // The node's own gates, in the order in which they are asked.
  "not_aggregator",
  "not_synced",
  "missing_state",
  "paused",
  "in_flight",
  "unreachable",
  // The snapshot function had nothing to submit, threw, or returned what cannot be encoded.
  "nothing_to_submit",
  "snapshot_threw",
  "invalid",
  // The service's answers. `draining` also: the adapter is closing.
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
  /** The node wants no new aggregation now, for example just before its own proposal. */
  isPaused?: boolean;
}

/** When a proof of one request becomes worthless. */
export interface Fence {
  fenceAtMs: number;
  /** A proof is worthless from this slot on, even before `fenceAtMs`. Null: only time decides. */
  fenceSlot: number | null;
}

/** A snapshot that the node submits. */
export interface Submission extends Fence, LatchName {
  requestId: string;
  slot: number;
  /** Number of groups, at least 1. */
  groups: number;
  /** Size of the frozen request in bytes. */
  bytes: number;
  deadlineAtMs: number;
  /** No result of the request is taken before this instant. 0: at once. */
  holdUntilMs: number;
}

/** Names one group. */
export interface GroupRef {
  requestId: string;
  groupIndex: number;
  /** Slot of the submission. */
  slot: number;
  /** The endpoint whose service ended the group; null when the adapter did. */
  endpoint: string | null;
}

export type ServiceState = "ready" | "no_prover" | "draining";

/** How one group ended at a service. The machine never looks into the payload `P`. */
export interface WireOutcome<P> {
  kind: "outcome";
  endpoint: string;
  requestId: string;
  groupIndex: number;
  /** Root of the attestation data, in hex. Empty for a merge, which is never a duplicate. */
  message: string;
  /** The outcome has a proof, or had one that is erased. */
  isProof: boolean;
  /** The proof was made after the deadline. */
  isLate: boolean;
  /** The service has erased the proof's bytes at its fence. */
  isErased: boolean;
  /** Not started, or stopped, because the service shuts down. */
  isDrained: boolean;
  /** Validator i is bit i % 8 of byte i / 8, from the lowest bit; no length bit. */
  participants: Uint8Array;
  payload: P;
}

/** May a snapshot be submitted now? The answer is one effect, `go` or `skip`. */
export interface Question extends LatchName {
  kind: "ask";
  slot: number;
  gates: Gates;
  mayReplace: boolean;
}

export type AdapterEvent<P> =
  | Question
  | { kind: "submitted"; submission: Submission }
  /** `fenceAtMs`: the sending of the try that was answered, plus the answer's `fence_ms`. */
  | {
      kind: "accepted";
      requestId: string;
      endpoint: string;
      serviceId: string;
      fenceAtMs: number;
    }
  /** The service skipped the snapshot, or refused the call, and a retry would fail too. */
  | { kind: "refused"; requestId: string; endpoint: string; reason: AdapterSkipReason }
  /**
   * A try had no answer. `isTimeout`: its time limit passed; else the endpoint could not be reached
   * or the connection broke.
   */
  | { kind: "failed"; requestId: string; endpoint: string; isTimeout: boolean }
  /** A result stream is about to be opened. The answer is one effect, `await`. */
  | { kind: "opening"; endpoint: string }
  | {
      kind: "opened";
      endpoint: string;
      serviceId: string;
      state: ServiceState;
      /** One entry for each request that the stream's request named. */
      awaited: readonly { requestId: string; isKnown: boolean }[];
    }
  | { kind: "status"; endpoint: string; state: ServiceState }
  /**
   * A result stream broke, or an attempt to open one failed. `isSilent`: nothing arrived for longer
   * than is allowed.
   */
  | { kind: "disconnected"; endpoint: string; isSilent: boolean }
  | WireOutcome<P>
  /** The service has ended the request. `durationMs`: from its receipt to its last outcome. */
  | { kind: "summary"; endpoint: string; requestId: string; durationMs: number }
  | { kind: "verified"; ref: GroupRef; isValid: boolean }
  /** The node no longer wants these groups. Null: any group of the request. */
  | { kind: "cancel"; requestId: string; groups: readonly number[] | null }
  /**
   * The node takes its results: with `requestIds` those of these requests only, with `max` (from 1) at
   * most so many, the oldest. The others stay.
   */
  | { kind: "take"; slot: number; requestIds?: readonly string[]; max?: number }
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
 * - `cancelled`: the node cancelled it
 * - `lost`: no service will end it before its fence
 */
export type AdapterResult<P> =
  | { kind: "outcome"; ref: GroupRef; payload: P }
  | { kind: "duplicate" | "refused" | "cancelled" | "lost"; ref: GroupRef };

export type AdapterEffect<P> =
  /** The answer to `ask`: make the snapshot and pass `submitted`. */
  | { kind: "go" }
  /** `requestId` null: nothing was submitted. Else no group of that request has a result. */
  | { kind: "skip"; requestId: string | null; reason: AdapterSkipReason }
  /**
   * Send the frozen request to this endpoint in `afterMs` milliseconds, with what is left then until
   * both instants. Ends an earlier try of the request that has no answer. `isLookup`: send 0 for the
   * deadline. `isResubmission`: for the metrics.
   */
  | {
      kind: "send";
      requestId: string;
      endpoint: string;
      afterMs: number;
      deadlineAtMs: number;
      fenceAtMs: number;
      isLookup: boolean;
      isResubmission: boolean;
    }
  /** Call CancelSession; nobody waits for the answer. Empty `groups`: all. */
  | { kind: "cancel"; endpoint: string; requestId: string; groups: readonly number[] }
  /** The frozen bytes of the request are not needed any more. */
  | { kind: "forget"; requestId: string }
  /** What the request of a result stream names. */
  | {
      kind: "await";
      endpoint: string;
      requests: readonly { requestId: string; receivedGroups: readonly number[] }[];
    }
  | { kind: "verify"; ref: GroupRef; payload: P }
  | { kind: "deliver"; result: AdapterResult<P> }
  /** For the metrics: a session's end, once for each request. */
  | { kind: "summarised"; requestId: string; endpoint: string; durationMs: number }
  /** Several services answer at this endpoint; once for each endpoint. */
  | { kind: "balanced"; endpoint: string }
  /**
   * For the metrics: a proof made after the deadline (`late`); a proof past its fence (`fenced`); a
   * group that no service ended (`lost`); a result that the node did not take (`dropped`).
   */
  | { kind: "late" | "fenced" | "lost" | "dropped"; ref: GroupRef };
