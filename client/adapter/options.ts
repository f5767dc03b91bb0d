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
import type { AdapterPriority, AdapterSkipReason, GroupRef } from "./events.js";
import type { TokenSource } from "../rpc/token.js";
import type { SlotClock } from "./slot-clock.js";
import type { TlsOptions } from "../rpc/tls-credentials.js";

export interface TickAggregatorOptions {
  /**
   * One or more addresses in order of preference: `host:port`, `https://host:port` or `unix:/path`,
   * as in `AggregatorClientOptions.address`. The adapter keeps a connection to each. A snapshot
   * goes to the first one that is reachable. One that skipped a snapshot as `draining` or
   * `no_prover` comes last for 5 s.
   */
  endpoints: string | readonly string[];
  /** 1 to 64 characters of `A-Z a-z 0-9 . _ -`. */
  nodeId: string;
  /** A number that differs for each run of the node. Default: random. */
  nodeEpoch?: bigint;
  /**
   * Gives the milliseconds until the proofs of a snapshot of slot N are worthless. A `SlotClock`
   * gives the time until slot N+2 starts; a function returns its own figure.
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
  /** Largest message that the client accepts, in bytes. Default 32 MiB. */
  receiveBytesMax?: number;
  /** The node's own check of a proof. False or a rejection: the proof is refused. Default: none. */
  verify?: (outcome: Outcome) => Promise<boolean>;
  /** Registry for the metrics; it has room for one adapter. Default: a new registry. */
  registry?: Registry;
  /** A monotonic clock, in milliseconds. Default `performance.now`. */
  nowMs?: () => number;
  /**
   * Called with each error that the adapter handles itself. Default: an error that every try would
   * meet again, such as keys of another scheme, is a warning of the process (`emitWarning`), once.
   */
  onError?: (error: Error) => void;
}

export interface SubmitOptions {
  /** A snapshot is skipped while one of the same priority is in flight. Default `aggregation`. */
  priority?: AdapterPriority;
  /** Time in which the service may start a proof, in milliseconds. Default: the adapter's. */
  deadlineMs?: number;
  /** Time until the proofs are worthless, in milliseconds. Default: from `timeToFence`. */
  fenceMs?: number;
  /** Replaces the snapshot in flight at this priority, instead of being skipped. Default false. */
  mayReplace?: boolean;
  /** Whether the service may prove a part of a group. Default: the server's, which allows it. */
  partialPolicy?: PartialPolicy;
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
 * How one accepted group ended:
 * - `outcome`: as the service reported. It has a proof if its status is `PROVED` or `PROVED_LATE`
 * - `duplicate`: an earlier proof of the same slot and root has all its participants
 * - `refused`: the `verify` hook did not accept its proof
 * - `lost`: the service restarted, or could not be reached until the fence
 *
 * The node acts on `outcome` only. Votes that are in no proof go into its next snapshot.
 */
export type TickResult =
  | (GroupRef & { kind: "outcome"; outcome: Outcome })
  | (GroupRef & { kind: "duplicate" | "refused" | "lost" });
