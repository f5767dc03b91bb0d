/** What a node passes to `TickAggregator`, and what it gets back. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Registry } from "prom-client";
import type {
  Outcome,
  PartialPolicy,
  ProofSystem,
  SnapshotSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterPriority, AdapterSkipReason, GroupRef } from "../machine/index.js";
import type { TokenSource } from "../rpc/token.js";
import type { SlotClock, StepInit } from "./slot-clock.js";
import type { SubmitTracer } from "./submit-spans.js";
import type { TlsOptions } from "../rpc/tls-credentials.js";

export interface TickAggregatorOptions {
  /**
   * One or more addresses in order of preference: `host:port`, `https://host:port` or `unix:/path`,
   * as in `AggregatorClientOptions.address`. The adapter keeps a connection to each. A snapshot
   * goes to the first one that is ready. What one of them loses goes to the next, in time.
   */
  endpoints: string | readonly string[];
  /** 1 to 64 characters of `A-Z a-z 0-9 . _ -`. */
  nodeId: string;
  /**
   * Number of this run of the node, which grows with each run: a later one ends the work of an
   * earlier one. Default: the time at which the adapter is made, in milliseconds since 1970.
   */
  nodeEpoch?: bigint;
  /**
   * Gives the milliseconds until the proofs of a snapshot of slot N are worthless. A `SlotClock`
   * gives the time until slot N+2 starts, and the default steps; a function returns its own figure.
   */
  timeToFence: SlotClock | ((slot: number) => number);
  /** Time in which the service may start a proof, in milliseconds. Default 750. */
  deadlineMs?: number;
  /** What the proofs must be made with. Default, also for each field: the server's. */
  proofSystem?: Partial<Pick<ProofSystem, "scheme" | "revision" | "logInvRate">>;
  /**
   * TLS settings. Given: TLS except for `unix:` and `http://`. Default: TLS for `https://` only.
   */
  tls?: TlsOptions;
  /** Used instead of credentials made from `tls`. Default: none. */
  credentials?: ChannelCredentials;
  /**
   * Token that identifies the caller, for use without a client certificate. A function is called
   * before each call. The token goes over TLS, to loopback or to a Unix socket only. Default: none.
   */
  token?: TokenSource;
  /** Largest message that the client accepts, in bytes, from the 2 MiB of an event. Default 32 MiB. */
  receiveBytesMax?: number;
  /** The node's own check of a proof, which is refused unless it answers `true`. Default: none. */
  verify?: (outcome: Outcome) => Promise<boolean>;
  /** Registry for the metrics; it has room for one adapter. Default: a new registry. */
  registry?: Registry;
  /** A monotonic clock, in milliseconds. Default `performance.now`. */
  nowMs?: () => number;
  /**
   * Makes a span `submit` of each snapshot, under the node's active span, and makes the service's spans a part
   * of the same trace: a tracer of OpenTelemetry, such as `trace.getTracer("node")`. Default: none.
   */
  tracer?: SubmitTracer;
  /**
   * Called with each error that the adapter handles itself: an `AggregatorError` where its kind
   * matters, such as `endpoint_is_balanced` or `node_id_in_use`. Default: an error that every try
   * would meet again is a warning of the process (`emitWarning`), once.
   */
  onError?: (error: Error) => void;
  /**
   * Called when a snapshot that was submitted is skipped after all: by the service, or because no
   * endpoint took it. Its votes are free for the next snapshot. Default: none.
   */
  onSkip?: (reason: AdapterSkipReason, requestId: string) => void;
  /**
   * Called when nothing is submitted because no endpoint can be reached: within `submitOrSkip` and
   * `mergeOrSkip`, and for a growing body whenever it asks for a merge, also between ticks. The node may
   * prove by itself; the adapter never does. Default: none.
   */
  onUnreachable?: (slot: number) => void;
}

export interface SubmitOptions {
  /** A snapshot is skipped while one of the same priority is in flight. Default `aggregation`. */
  priority?: AdapterPriority;
  /**
   * Time in which the service may start a proof, in milliseconds. Default: the adapter's; for
   * `backlog`, the time until the fence.
   */
  deadlineMs?: number;
  /** Time until the proofs are worthless, in milliseconds. Default: from `timeToFence`. */
  fenceMs?: number;
  /** Replaces the snapshot in flight at this priority, instead of being skipped. Default false. */
  mayReplace?: boolean;
  /** Whether the service may prove a part of a group. Default: the server's, which allows it. */
  partialPolicy?: PartialPolicy;
  /**
   * Fewest inputs of a group that are worth a proof: verified raw signatures that no child contains,
   * plus good children. Default 1.
   */
  minInputs?: number;
  /**
   * What votes are worth by when: at most 8 steps, with ascending times and descending weights.
   * Default: the starts of the last two intervals of the slot and the fence, if `timeToFence` is a
   * `SlotClock`; else none.
   */
  steps?: readonly StepInit[];
  /**
   * The W3C header `traceparent` that the service gets: its spans become a part of that trace. Not sent when
   * it is not a valid one. Default: that of the span `submit`, with a `tracer`.
   */
  traceparent?: string;
  /** No result is taken before this many milliseconds have passed. Default 0. */
  holdMs?: number;
}

/**
 * A snapshot without its slot, which `submitOrSkip` takes as an argument. Groups are in the node's
 * order of preference. `submitOrSkip` copies all bytes; the node may reuse them once it returns.
 */
export type SnapshotInit = Omit<MessageInitShape<typeof SnapshotSchema>, "slot" | "$typeName">;

/**
 * Whether the snapshot is submitted, or why not. The results of its groups have this `requestId`.
 */
export type SubmitAnswer = { submitted: true; requestId: string } | { skipped: AdapterSkipReason };

/**
 * How one submitted group ended. Its `endpoint` is null when the adapter ended it.
 * - `outcome`: as the service reported. It has a proof if its status is `PROVED` or `PROVED_LATE`
 * - `duplicate`: an earlier proof of the same slot and root has all its participants
 * - `refused`: the `verify` hook did not accept its proof
 * - `cancelled`: the node cancelled it
 * - `lost`: no service ended it by its fence
 *
 * The node acts on `outcome` only. Votes that are in no proof go into its next snapshot.
 */
export type TickResult =
  | (GroupRef & { kind: "outcome"; outcome: Outcome })
  | (GroupRef & { kind: "duplicate" | "refused" | "cancelled" | "lost" });
