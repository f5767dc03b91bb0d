/**
 * What the adapter's machine remembers, and the limits on it. `createMachine` makes the first state,
 * `transition` each next one. A state object is never changed.
 */
import type {
  AdapterEffect,
  Fence,
  GroupRef,
  LatchName,
  ServiceState,
  Submission,
} from "./events.js";
import type { ResultQueue } from "./result-queue.js";
import { EMPTY_QUEUE } from "./result-queue.js";

/** While the service can report, a group is lost only this long after its fence. In milliseconds. */
export const LOST_GRACE_MS = 1000;

/** Wait before a try that failed without an answer is sent again, in milliseconds. */
export const RETRY_MS = 100;

/** A request that was resubmitted this often may be what kills the services. */
export const RESUBMISSIONS_MAX = 3;

/** Limit on the requests that a result stream names: the service refuses more. */
export const AWAITED_MAX = 64;

/** Default limit on results that the node has not taken: hundreds of slots. */
const RESULTS_MAX = 4096;

/** Default limit on the frozen bytes of all requests: 64 MiB. */
const BYTES_MAX = 64 * 1024 * 1024;

/** A fence that never passes: that of a result without a proof. */
export const NEVER: Fence = { fenceAtMs: Infinity, fenceSlot: null };

/** An endpoint that may hold a request. */
export interface Place {
  readonly endpoint: string;
  /** False: asked. A request was sent there, and nothing has come from there yet. */
  readonly isHeld: boolean;
  /** The service that holds the request, as far as the endpoint's stream or answer has shown. */
  readonly serviceId: string | null;
  /** Groups that have ended at this endpoint. */
  readonly ended: ReadonlySet<number>;
  /** Its try was open at the last `opening`: a service that says unknown may not have had it yet. */
  readonly isCrossing: boolean;
  /** Held, and the last `opening` did not name it: all groups of its request had ended. */
  readonly isUnnamed: boolean;
}

/** A `send` that has no answer yet. */
export interface OpenTry {
  readonly endpoint: string;
  readonly deadlineAtMs: number;
  readonly isLookup: boolean;
}

/** A submission that is not over. `fenceAtMs` is the earliest that anyone has said so far. */
export interface Request extends Submission {
  /** Some endpoint has accepted it: its groups have results, and it is never skipped. */
  readonly isAccepted: boolean;
  readonly isSkipped: boolean;
  readonly isSummarised: boolean;
  readonly hasBytes: boolean;
  /** Null: no try waits for an answer. */
  readonly openTry: OpenTry | null;
  /** In the order in which they came to be. */
  readonly places: readonly Place[];
  readonly refusedBy: readonly string[];
  /** Groups that have ended for the node. */
  readonly ended: ReadonlySet<number>;
  readonly resubmissions: number;
  /** When its fence passed. Null: it has not, as far as an event has shown. */
  readonly fencedAtMs: number | null;
}

/** A proof that waits for the node's own verification. */
export interface Proof<P> extends Fence {
  readonly ref: GroupRef;
  /** Made of the submission's slot and the attestation data's root. Null for a merge. */
  readonly key: string | null;
  readonly participants: Uint8Array;
  readonly payload: P;
  readonly holdUntilMs: number;
}

/** The participants of an earlier proof, which makes no duplicate from its own fence on. */
interface SeenProof extends Fence {
  /** Slot of submission and root. */
  readonly key: string;
  readonly participants: Uint8Array;
}

/** The state of an endpoint's result stream, and what the service there has said. */
export interface Link {
  /**
   * - `connecting`: the stream was never open or it broke, and no attempt has failed since
   * - `up`: the stream is open
   * - `down`: the last attempt failed, or the stream was silent
   */
  readonly kind: "connecting" | "up" | "down";
  /** Holds only while the endpoint is up. */
  readonly service: ServiceState;
  /** The service that the last stream found. Null: none so far. */
  readonly serviceId: string | null;
  /** It was reported that several services answer here. */
  readonly isBalanced: boolean;
}

export interface MachineState<P> {
  readonly hasVerifyHook: boolean;
  readonly resultsMax: number;
  readonly bytesMax: number;
  readonly isClosing: boolean;
  readonly isClosed: boolean;
  /** The slot that the node named last. Null: none yet. */
  readonly slot: number | null;
  /** By endpoint, in the node's order. */
  readonly links: ReadonlyMap<string, Link>;
  /** By `latchKey`, the requests that hold the latches. Without an entry, the latch is open. */
  readonly latches: ReadonlyMap<string, string>;
  /** By `latchKey`, the last submission. */
  readonly latest: ReadonlyMap<string, string>;
  /** By request id, in the order of submission. */
  readonly requests: ReadonlyMap<string, Request>;
  /** By `groupKey`, in the order in which the verifications began. */
  readonly verifying: ReadonlyMap<string, Proof<P>>;
  readonly seen: readonly SeenProof[];
  /** Results that the node can take, oldest first. */
  readonly results: ResultQueue<P>;
  /** At or before the fence of every kept proof: until then, no event looks for expired ones. */
  readonly nextFence: Fence;
}

/** The next state, and the effects in the order in which they are carried out. */
export interface MachineStep<P> {
  readonly state: MachineState<P>;
  readonly effects: readonly AdapterEffect<P>[];
}

export interface MachineOptions {
  /** Names in order of preference, at least one. */
  endpoints: readonly string[];
  /** The node verifies proofs itself. */
  hasVerifyHook: boolean;
  /** Results that wait to be taken. Default 4096. */
  resultsMax?: number;
  /** Frozen bytes of all requests. Default 64 MiB. */
  bytesMax?: number;
}

/** The key of a latch in the machine's tables. */
export function latchKey({ priority, proofKind = "aggregate" }: LatchName): string {
  return `${priority} ${proofKind}`;
}

/** Returns the first state: nothing in flight, no endpoint reached yet. */
export function createMachine<P>(options: MachineOptions): MachineState<P> {
  const link: Link = { kind: "connecting", service: "ready", serviceId: null, isBalanced: false };
  return {
    hasVerifyHook: options.hasVerifyHook,
    resultsMax: options.resultsMax ?? RESULTS_MAX,
    bytesMax: options.bytesMax ?? BYTES_MAX,
    isClosing: false,
    isClosed: false,
    slot: null,
    links: new Map(options.endpoints.map((endpoint) => [endpoint, link])),
    latches: new Map(),
    latest: new Map(),
    requests: new Map(),
    verifying: new Map(),
    seen: [],
    results: EMPTY_QUEUE,
    nextFence: NEVER,
  };
}

/**
 * Returns true when every submission has its answer, every group has ended, and no verification
 * runs. The shell's `close` waits for this.
 */
export function isIdle(state: MachineState<unknown>): boolean {
  if (state.verifying.size > 0) return false;
  // A submission without an answer has an unended group: with none, it is over.
  for (const { ended, groups } of state.requests.values()) if (ended.size < groups) return false;
  return true;
}
