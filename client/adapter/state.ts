/**
 * What the adapter's state machine remembers, and the limits on it. `createAdapterState` makes the
 * first state; `transitionAdapter` returns each next one. A state object is never changed.
 */
import type {
  AdapterEffect,
  AdapterPriority,
  AdapterResult,
  Fence,
  GroupRef,
  Submission,
  WireOutcome,
  WireSummary,
} from "./events.js";

/**
 * While the stream is up, a group is lost only this long after its fence, in milliseconds: the
 * service's own outcome may still arrive.
 */
export const LOST_GRACE_MS = 1000;

/**
 * How long an endpoint rests after it skipped a snapshot as `draining` or `no_prover`, in
 * milliseconds. A restart takes 4 to 13 s; a stream that opens again ends the rest.
 */
export const REST_MS = 5000;

/**
 * Limit on kept events that arrived before the answer to their submission: enough for a few
 * sessions of many groups.
 */
export const EARLY_EVENTS_MAX = 256;

/** Limit on results that the node has not taken: hundreds of slots. Beyond it the oldest go. */
export const READY_RESULTS_MAX = 4096;

/** A fence that never passes: that of a result without a proof. */
export const NEVER: Fence = { fenceAtMs: Infinity, fenceSlot: null };

/** A submission that the service has not answered yet. */
export interface UnansweredSubmission extends Submission {
  readonly sentAtMs: number;
}

/** An accepted submission of which a group has not ended, or the summary has not arrived. */
export interface OpenSession extends Submission {
  readonly endpoint: string;
  readonly sessionId: string;
  /** Id of the server's run that accepted the session. Null: not known yet. */
  readonly instance: string | null;
  /** Indexes of the groups that have ended. */
  readonly ended: ReadonlySet<number>;
  readonly isSummarised: boolean;
  /** When the session's fence passed. Null: it has not, as far as an event has shown. */
  readonly fencedAtMs: number | null;
}

/** How a group ended, until the node takes this. A result with a proof is erased at its fence. */
export interface ReadyResult<P> extends Fence {
  readonly result: AdapterResult<P>;
}

/** A proof that has arrived, before the node may take it. */
export interface Proof<P> extends Fence {
  readonly ref: GroupRef;
  /** Made of the submission's slot and the attestation data's root. */
  readonly key: string;
  readonly participants: Uint8Array;
  readonly payload: P;
}

/**
 * The participants of each proof of one slot and root that was kept for the node so far: a proof
 * whose participants one of these covers is a duplicate. Kept until the latest of their fences.
 */
export interface SeenProofs extends Fence {
  readonly participants: readonly Uint8Array[];
}

/** One endpoint: the state of its result stream, and whether it rests. */
export interface Link {
  /**
   * - `connecting`: the stream has never been up or it broke, and no attempt has failed since
   * - `up`: the stream is open
   * - `down`: the last attempt to open the stream failed
   */
  readonly kind: "connecting" | "up" | "down";
  /** Id of the server's run that the last stream found. Null: no stream has been up yet. */
  readonly instance: string | null;
  /** Until this instant other endpoints go first, as this one skipped a snapshot. 0: no rest. */
  readonly restsUntilMs: number;
}

export interface AdapterState<P> {
  readonly hasVerifyHook: boolean;
  readonly isClosing: boolean;
  /** The slot that the node last named. Null: none yet. */
  readonly slot: number | null;
  /** By endpoint, in order of preference. */
  readonly links: ReadonlyMap<string, Link>;
  /** The last endpoint that a submission could go to. */
  readonly target: string;
  /** The closed latches, each with the submission that closed it and that one's fence. */
  readonly latches: ReadonlyMap<AdapterPriority, Fence & { readonly requestId: string }>;
  /** By request id. Each is answered or given up within the time limit on a submission. */
  readonly pending: ReadonlyMap<string, UnansweredSubmission>;
  /** By `sessionKey`. Each is removed shortly after its fence at the latest. */
  readonly sessions: ReadonlyMap<string, OpenSession>;
  /** By slot and root. Each is removed at its fence. */
  readonly seen: ReadonlyMap<string, SeenProofs>;
  /** By `groupKey`, while the node verifies the proof. Each is removed at its fence. */
  readonly checking: ReadonlyMap<string, Proof<P>>;
  /**
   * At or before the fence of every kept proof. Until it passes, no event looks for expired proofs.
   */
  readonly nextFence: Fence;
  /** Events that arrived before the answer to their submission, oldest first. */
  readonly early: readonly (WireOutcome<P> | WireSummary)[];
  /** Results that the node can take, oldest first. */
  readonly ready: readonly ReadyResult<P>[];
}

/** The next state, and the effects in the order in which they are carried out. */
export interface AdapterStep<P> {
  readonly state: AdapterState<P>;
  readonly effects: readonly AdapterEffect<P>[];
}

/** The first state: nothing in flight, no endpoint reached yet. */
export function createAdapterState<P>(options: {
  /** In order of preference. */
  endpoints: readonly [string, ...string[]];
  /** The node verifies proofs itself. */
  hasVerifyHook: boolean;
}): AdapterState<P> {
  const link: Link = { kind: "connecting", instance: null, restsUntilMs: 0 };
  return {
    hasVerifyHook: options.hasVerifyHook,
    isClosing: false,
    slot: null,
    links: new Map(options.endpoints.map((endpoint) => [endpoint, link])),
    target: options.endpoints[0],
    latches: new Map(),
    pending: new Map(),
    sessions: new Map(),
    seen: new Map(),
    checking: new Map(),
    nextFence: NEVER,
    early: [],
    ready: [],
  };
}

/** Applies the rules in order, each to the state that the one before returned. */
export function inOrder<P>(
  state: AdapterState<P>,
  rules: Iterable<(state: AdapterState<P>) => AdapterStep<P>>,
): AdapterStep<P> {
  const effects: AdapterEffect<P>[] = [];
  for (const rule of rules) {
    const step = rule(state);
    ({ state } = step);
    for (const effect of step.effects) effects.push(effect);
  }
  return { state, effects };
}

/**
 * True when every submission has its answer, every group has ended, and no verification runs.
 * `TickAggregator.close()` waits for this.
 */
export function isIdle(state: AdapterState<unknown>): boolean {
  return (
    state.pending.size === 0 &&
    state.checking.size === 0 &&
    [...state.sessions.values()].every((session) => session.ended.size >= session.groups)
  );
}

/** True from the instant of the fence on. */
export function isPast(state: AdapterState<unknown>, fence: Fence, nowMs: number): boolean {
  if (nowMs >= fence.fenceAtMs) return true;
  return fence.fenceSlot !== null && state.slot !== null && state.slot >= fence.fenceSlot;
}

/** A fence that passes as soon as one of the two does. */
export function earlierFence(a: Fence, b: Fence): Fence {
  const fenceSlot = Math.min(a.fenceSlot ?? Infinity, b.fenceSlot ?? Infinity);
  return { fenceAtMs: Math.min(a.fenceAtMs, b.fenceAtMs), fenceSlot };
}

/** True while the endpoint's result stream is open. */
export function isUp(state: AdapterState<unknown>, endpoint: string): boolean {
  return state.links.get(endpoint)?.kind === "up";
}

/** The endpoint to which a submission goes (rule 3). Null: no endpoint can be reached. */
export function targetOf(state: AdapterState<unknown>, nowMs: number): string | null {
  const links = [...state.links];
  const [endpoint = null] =
    links.find(([, { kind, restsUntilMs }]) => kind === "up" && nowMs >= restsUntilMs) ??
    links.find(([, { kind }]) => kind === "up") ??
    links.find(([, { kind }]) => kind === "connecting") ??
    [];
  return endpoint;
}

/** The key of a session. It has the endpoint, as two servers may choose the same session id. */
export function sessionKey(endpoint: string, sessionId: string): string {
  return `${endpoint}|${sessionId}`;
}

/** The key of a group. It has the node's request id, as a server may repeat a session id. */
export function groupKey({ requestId, groupIndex }: GroupRef): string {
  return `${requestId}|${groupIndex}`;
}
