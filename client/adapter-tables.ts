/**
 * What the adapter's state machine remembers, with the limit on each table. Made by
 * `createAdapterState`, changed only by `transition`.
 */
import type {
  AdapterPriority,
  AdapterResult,
  Fence,
  GroupRef,
  Submission,
  WireOutcome,
  WireSummary,
} from "./adapter-events.js";

/** How long past its fence a group may wait for the service's own word, while it is connected. */
export const LOST_GRACE_MS = 1000;

/** Events ahead of the answer to their submission: a few sessions of many groups each. */
export const EARLY_EVENTS_MAX = 256;

/** Results that a node has not taken; beyond it the oldest go. Hundreds of slots' worth. */
export const READY_RESULTS_MAX = 4096;

/** An accepted snapshot of which not every group has ended, or the summary has not come. */
export interface Session extends Submission {
  endpoint: string;
  sessionId: string;
  /** The run of the server that holds it; null: not known yet. */
  instance: string | null;
  ended: Set<number>;
  isSummarised: boolean;
  /** When it was seen past its fence. */
  fencedAtMs: number | null;
}

/** A group that has ended and has not been taken. */
export interface ReadyResult<P> extends Fence {
  result: AdapterResult<P>;
  /** Carries a proof, so the fence erases it. */
  isProof: boolean;
  /** False while the node's own check runs. */
  isReady: boolean;
  /** Its entry in `seen`, to take back if the check fails. */
  seenKey: string | null;
  participants: Uint8Array;
}

/** The proofs of one slot and root so far. */
export interface SeenProofs extends Fence {
  participants: Uint8Array[];
}

export type Link =
  /** Never been up, and no attempt has failed: submissions go out. */
  | { kind: "connecting"; endpoint: string }
  | { kind: "up"; endpoint: string }
  /** Submissions are skipped. */
  | { kind: "down"; endpoint: string };

export interface AdapterState<P> {
  readonly hasVerifyHook: boolean;
  link: Link;
  isClosing: boolean;
  /** The node's current slot, as it last said. */
  slot: number | null;
  /** By endpoint; as many as are configured. */
  readonly instances: Map<string, string>;
  /** At most one for each priority. */
  readonly latches: Map<AdapterPriority, Fence & { requestId: string }>;
  /** Bounded by the time limit on a submission. */
  readonly pending: Map<string, Submission & { sentAtMs: number }>;
  /** Bounded by the fence. */
  readonly sessions: Map<string, Session>;
  /** By slot and root; bounded by the fence. */
  readonly seen: Map<string, SeenProofs>;
  early: (WireOutcome<P> | WireSummary)[];
  ready: ReadyResult<P>[];
}

/** A fresh state: nothing in flight, `endpoint` not reached yet. */
export function createAdapterState<P>(options: {
  endpoint: string;
  hasVerifyHook: boolean;
}): AdapterState<P> {
  return {
    hasVerifyHook: options.hasVerifyHook,
    link: { kind: "connecting", endpoint: options.endpoint },
    isClosing: false,
    slot: null,
    instances: new Map(),
    latches: new Map(),
    pending: new Map(),
    sessions: new Map(),
    seen: new Map(),
    early: [],
    ready: [],
  };
}

/** Nothing more can come: what `close()` waits for. */
export function isIdle(state: AdapterState<unknown>): boolean {
  return (
    state.pending.size === 0 &&
    [...state.sessions.values()].every((session) => session.ended.size >= session.groups) &&
    state.ready.every((entry) => entry.isReady)
  );
}

/** At the fence is past it. */
export function isPast(state: AdapterState<unknown>, fence: Fence, nowMs: number): boolean {
  if (nowMs >= fence.fenceAtMs) return true;
  return fence.fenceSlot !== null && state.slot !== null && state.slot >= fence.fenceSlot;
}

/** Ids of sessions are the server's; two servers may choose the same. */
export function sessionKey(endpoint: string, sessionId: string): string {
  return `${endpoint}|${sessionId}`;
}

export function isSameGroup(a: GroupRef, b: GroupRef): boolean {
  return a.groupIndex === b.groupIndex && a.sessionId === b.sessionId && a.endpoint === b.endpoint;
}
