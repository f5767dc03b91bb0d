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
} from "./events.js";

/** How long past its fence a group may wait for the service's own word, while it is connected. */
export const LOST_GRACE_MS = 1000;

/** An endpoint that is draining or has no prover is back in 4 to 13 s, or its stream says so. */
export const REST_MS = 5000;

/** Events ahead of the answer to their submission: a few sessions of many groups each. */
export const EARLY_EVENTS_MAX = 256;

/** Results that a node has not taken; beyond it the oldest go. Hundreds of slots' worth. */
export const READY_RESULTS_MAX = 4096;

/** The fence of what is no proof. */
export const NEVER: Fence = { fenceAtMs: Infinity, fenceSlot: null };

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

/** A group that has ended and has not been taken; the fence erases it if there is a proof in it. */
export interface ReadyResult<P> extends Fence {
  result: AdapterResult<P>;
}

/** A proof, as long as the node's own check may still refuse it. */
export interface Proof<P> extends Fence {
  ref: GroupRef;
  /** Names the slot of submission and the root. */
  key: string;
  participants: Uint8Array;
  payload: P;
}

/** The proofs of one slot and root so far. */
export interface SeenProofs extends Fence {
  participants: Uint8Array[];
}

export interface Link {
  /**
   * - `connecting`: never been up, or the stream broke; and no attempt has failed since
   * - `up`: the stream is open
   * - `down`: the last attempt to open it failed
   */
  kind: "connecting" | "up" | "down";
  /** The run of the server that the last stream found. */
  instance: string | null;
  /** It said that it takes nothing for now; until then, others are asked first. */
  restsUntilMs: number;
}

export interface AdapterState<P> {
  readonly hasVerifyHook: boolean;
  isClosing: boolean;
  /** The node's current slot, as it last said. */
  slot: number | null;
  /** By endpoint, in order of preference; as many as are configured. */
  readonly links: Map<string, Link>;
  /** Where the last submission could go. */
  target: string;
  /** At most one for each priority. */
  readonly latches: Map<AdapterPriority, Fence & { requestId: string }>;
  /** Bounded by the time limit on a submission. */
  readonly pending: Map<string, Submission & { sentAtMs: number }>;
  /** Bounded by the fence. */
  readonly sessions: Map<string, Session>;
  /** By slot and root; bounded by the fence. */
  readonly seen: Map<string, SeenProofs>;
  /** By group, while the node's own check runs; bounded by the fence. */
  readonly checking: Map<string, Proof<P>>;
  /** No proof's fence passes before this one: what makes most events cheap. */
  nextFence: Fence;
  early: (WireOutcome<P> | WireSummary)[];
  ready: ReadyResult<P>[];
}

/** A fresh state: nothing in flight, no endpoint reached yet. */
export function createAdapterState<P>(options: {
  /** In order of preference. */
  endpoints: readonly [string, ...string[]];
  hasVerifyHook: boolean;
}): AdapterState<P> {
  const link = { kind: "connecting", instance: null, restsUntilMs: 0 } as const;
  return {
    hasVerifyHook: options.hasVerifyHook,
    isClosing: false,
    slot: null,
    links: new Map(options.endpoints.map((endpoint) => [endpoint, { ...link }])),
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

/** Nothing more can come: what `close()` waits for. */
export function isIdle(state: AdapterState<unknown>): boolean {
  return (
    state.pending.size === 0 &&
    state.checking.size === 0 &&
    [...state.sessions.values()].every((session) => session.ended.size >= session.groups)
  );
}

/** At the fence is past it. */
export function isPast(state: AdapterState<unknown>, fence: Fence, nowMs: number): boolean {
  if (nowMs >= fence.fenceAtMs) return true;
  return fence.fenceSlot !== null && state.slot !== null && state.slot >= fence.fenceSlot;
}

/** Past as soon as either is. */
export function earlierFence(a: Fence, b: Fence): Fence {
  const fenceSlot = Math.min(a.fenceSlot ?? Infinity, b.fenceSlot ?? Infinity);
  return { fenceAtMs: Math.min(a.fenceAtMs, b.fenceAtMs), fenceSlot };
}

export function isUp(state: AdapterState<unknown>, endpoint: string): boolean {
  return state.links.get(endpoint)?.kind === "up";
}

/** Where a submission goes (rule 3); null: nowhere. */
export function targetOf(state: AdapterState<unknown>, nowMs: number): string | null {
  const links = [...state.links];
  const [endpoint = null] =
    links.find(([, { kind, restsUntilMs }]) => kind === "up" && nowMs >= restsUntilMs) ??
    links.find(([, { kind }]) => kind === "up") ??
    links.find(([, { kind }]) => kind === "connecting") ??
    [];
  return endpoint;
}

/** Ids of sessions are the server's; two servers may choose the same. */
export function sessionKey(endpoint: string, sessionId: string): string {
  return `${endpoint}|${sessionId}`;
}

/** By the request id, which is the node's own: a server may repeat the id of a session. */
export function groupKey({ requestId, groupIndex }: GroupRef): string {
  return `${requestId}|${String(groupIndex)}`;
}
