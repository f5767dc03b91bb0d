/** What a node gives to `TickAggregator` and gets from it. */
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
   * `host:port`, `https://host:port` or `unix:/path`, as `AggregatorClientOptions.address`; several
   * are in order of preference. One at least. Each is kept connected; a snapshot goes to the first
   * that can take it.
   */
  endpoints: string | readonly string[];
  /** 1 to 64 characters of `A-Z a-z 0-9 . _ -`. */
  nodeId: string;
  /** Default: random, as it must differ for each run of the node. */
  nodeEpoch?: bigint;
  /**
   * Milliseconds left until the proofs of a snapshot of this slot are worthless: by default the
   * time to the start of slot N+2 on the given slot clock.
   */
  timeToFence: SlotClock | ((slot: number) => number);
  /** Time in which proofs may be started, in milliseconds. Default 750. */
  deadlineMs?: number;
  /** Default: the server's. */
  proofSystem?: Partial<Pick<ProofSystem, "scheme" | "revision" | "logInvRate">>;
  /** For the endpoints that are no Unix sockets. Default: plain text but for `https://`. */
  tls?: TlsOptions;
  /** In place of what `tls` makes. Default: none. */
  credentials?: ChannelCredentials;
  /**
   * Says who calls where client certificates do not; a function is asked before each call. Sent over
   * TLS, to loopback or to a Unix socket only. Default: none.
   */
  token?: TokenSource;
  /** Largest message taken from the server, in bytes. Default 32 MiB. */
  receiveBytesMax?: number;
  /** The node's own check, before a proof can be taken. False or a throw refuses the proof. */
  verify?: (outcome: Outcome) => Promise<boolean>;
  /** Default: a private one. One adapter for each registry. */
  registry?: Registry;
  /** Monotonic, in milliseconds. Default `performance.now`. */
  nowMs?: () => number;
  /** Told of what is wrong and being dealt with. Default: nobody. */
  onError?: (error: Error) => void;
}

export interface SubmitOptions {
  /** Each has an in-flight latch of its own. Default `aggregation`. */
  priority?: AdapterPriority;
  /** Default: the adapter's `deadlineMs`. */
  deadlineMs?: number;
  /** Time until the proofs are worthless, in milliseconds. Default: by `timeToFence`. */
  fenceMs?: number;
  /** Replace what is in flight at this priority instead of skipping. Default false. */
  mayReplace?: boolean;
  /** Default: the server's, which is to allow parts. */
  partialPolicy?: PartialPolicy;
}

/**
 * In the node's order of preference; the slot is that of the call. Frozen by `submitOrSkip`: once
 * it has returned, the bytes have been copied and the node may change or reuse them.
 */
export type SnapshotInit = Omit<MessageInitShape<typeof SnapshotSchema>, "slot" | "$typeName">;

/** `requestId` comes back with each result. */
export type SubmitAnswer = { submitted: true; requestId: string } | { skipped: AdapterSkipReason };

/**
 * How one accepted group ended:
 * - `outcome`: as the service says; a proof only where its status is proved or proved late
 * - `duplicate`: its proof adds nobody to another one of the same slot and root
 * - `refused`: the `verify` hook did not accept its proof
 * - `lost`: the service restarted, or could not be reached until the fence
 *
 * None but `outcome` asks anything of the node: the next snapshot carries those votes.
 */
export type TickResult =
  | (GroupRef & { kind: "outcome"; outcome: Outcome })
  | (GroupRef & { kind: "duplicate" | "refused" | "lost" });
