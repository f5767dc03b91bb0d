/**
 * What the adapter's state machine remembers, and the limit on each table. `createAdapterState`
 * makes the first state; `transitionAdapter` returns each next one. No state is ever changed.
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

/** After its fence, a group waits this long for the service's own end, if the stream is up. */
export const LOST_GRACE_MS = 1000;

/** An endpoint that drains or has no prover is back in 4 to 13 s, or its stream says so. */
export const REST_MS = 5000;

/** Events that arrive before the answer to their submission: a few sessions of many groups. */
export const EARLY_EVENTS_MAX = 256;

/** Results that the node has not taken. Beyond it the oldest go. It holds hundreds of slots. */
export const READY_RESULTS_MAX = 4096;

/** The fence of a result without a proof. */
export const NEVER: Fence = { fenceAtMs: Infinity, fenceSlot: null };

/** A submission without an answer. */
export interface UnansweredSubmission extends Submission {
  readonly sentAtMs: number;
}

/** An accepted submission that has groups without an end, or no summary. */
export interface OpenSession extends Submission {
  readonly endpoint: string;
  readonly sessionId: string;
  /** The server's run that holds the session. Null: not known yet. */
  readonly instance: string | null;
  /** Indexes of the groups that have ended. */
  readonly ended: ReadonlySet<number>;
  readonly isSummarised: boolean;
  /** When the machine first saw the session past its fence. Null: not yet. */
  readonly fencedAtMs: number | null;
}

/** The end of a group, until the node takes it. Its fence erases it if it has a proof. */
export interface ReadyResult<P> extends Fence {
  readonly result: AdapterResult<P>;
}

/** A proof that may still fail the node's own verification. */
export interface Proof<P> extends Fence {
  readonly ref: GroupRef;
  /** The slot of submission and the root. */
  readonly key: string;
  readonly participants: Uint8Array;
  readonly payload: P;
}

/** The participants of each proof of one slot and root so far. */
export interface SeenProofs extends Fence {
  readonly participants: readonly Uint8Array[];
}

export interface Link {
  /**
   * - `connecting`: the stream has never been up or it broke, and no attempt has failed since
   * - `up`: the stream is open
   * - `down`: the last attempt to open the stream failed
   */
  readonly kind: "connecting" | "up" | "down";
  /** The server's run that the last stream found. Null: no stream yet. */
  readonly instance: string | null;
  /** The endpoint takes no snapshots for now. Until this instant the others go first. */
  readonly restsUntilMs: number;
}

export interface AdapterState<P> {
  readonly hasVerifyHook: boolean;
  readonly isClosing: boolean;
  /** The node's current slot, as it last said. */
  readonly slot: number | null;
  /** By endpoint, in order of preference. */
  readonly links: ReadonlyMap<string, Link>;
  /** The last endpoint that a submission could go to. */
  readonly target: string;
  /** At most one for each priority. */
  readonly latches: ReadonlyMap<AdapterPriority, Fence & { readonly requestId: string }>;
  /** By request id. Bounded by the time limit on a submission. */
  readonly pending: ReadonlyMap<string, UnansweredSubmission>;
  /** By endpoint and session id. Bounded by the fence. */
  readonly sessions: ReadonlyMap<string, OpenSession>;
  /** By slot and root. Bounded by the fence. */
  readonly seen: ReadonlyMap<string, SeenProofs>;
  /** By group, while the node verifies the proof. Bounded by the fence. */
  readonly checking: ReadonlyMap<string, Proof<P>>;
  /** Not after the fence of any proof; most events are cheap because of it. */
  readonly nextFence: Fence;
  readonly early: readonly (WireOutcome<P> | WireSummary)[];
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

/** Nothing more can come. `close()` waits for it. */
export function isIdle(state: AdapterState<unknown>): boolean {
  return (
    state.pending.size === 0 &&
    state.checking.size === 0 &&
    [...state.sessions.values()].every((session) => session.ended.size >= session.groups)
  );
}

/** The instant of the fence itself is past it. */
export function isPast(state: AdapterState<unknown>, fence: Fence, nowMs: number): boolean {
  if (nowMs >= fence.fenceAtMs) return true;
  return fence.fenceSlot !== null && state.slot !== null && state.slot >= fence.fenceSlot;
}

/** A fence that has passed as soon as either has. */
export function earlierFence(a: Fence, b: Fence): Fence {
  const fenceSlot = Math.min(a.fenceSlot ?? Infinity, b.fenceSlot ?? Infinity);
  return { fenceAtMs: Math.min(a.fenceAtMs, b.fenceAtMs), fenceSlot };
}

export function isUp(state: AdapterState<unknown>, endpoint: string): boolean {
  return state.links.get(endpoint)?.kind === "up";
}

/** Where a submission goes (rule 3). Null: no endpoint can be reached. */
export function targetOf(state: AdapterState<unknown>, nowMs: number): string | null {
  const links = [...state.links];
  const [endpoint = null] =
    links.find(([, { kind, restsUntilMs }]) => kind === "up" && nowMs >= restsUntilMs) ??
    links.find(([, { kind }]) => kind === "up") ??
    links.find(([, { kind }]) => kind === "connecting") ??
    [];
  return endpoint;
}

/** The key of a session. Its id is the server's, and two servers may choose the same. */
export function sessionKey(endpoint: string, sessionId: string): string {
  return `${endpoint}|${sessionId}`;
}

/** The key of a group. The request id is the node's own; a server may repeat a session id. */
export function groupKey({ requestId, groupIndex }: GroupRef): string {
  return `${requestId}|${groupIndex}`;
}
