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
   * as in `AggregatorClientOptions.address`. The adapter keeps each of them connected. A snapshot
   * goes to the first one that can take it.
   */
  endpoints: string | readonly string[];
  /** 1 to 64 characters of `A-Z a-z 0-9 . _ -`. */
  nodeId: string;
  /** Must differ for each run of the node. Default: random. */
  nodeEpoch?: bigint;
  /**
   * Milliseconds until the proofs of a snapshot of slot N are worthless. A slot clock stands for the
   * time until slot N+2 starts.
   */
  timeToFence: SlotClock | ((slot: number) => number);
  /** Time in which the service may start a proof, in milliseconds. Default 750. */
  deadlineMs?: number;
  /** Default: the server's. */
  proofSystem?: Partial<Pick<ProofSystem, "scheme" | "revision" | "logInvRate">>;
  /** For endpoints other than Unix sockets. Default: TLS for `https://` only. */
  tls?: TlsOptions;
  /** Replaces what `tls` makes. Default: none. */
  credentials?: ChannelCredentials;
  /**
   * Names the caller where no client certificate does. A function is called before each call. The
   * client sends it over TLS, to loopback or to a Unix socket only. Default: none.
   */
  token?: TokenSource;
  /** Largest message that the client accepts, in bytes. Default 32 MiB. */
  receiveBytesMax?: number;
  /** The node's own verification of a proof, before it can be taken. False or a throw refuses it. */
  verify?: (outcome: Outcome) => Promise<boolean>;
  /** For one adapter only. Default: a registry of its own. */
  registry?: Registry;
  /** A monotonic clock, in milliseconds. Default `performance.now`. */
  nowMs?: () => number;
  /** Called with each error that the adapter handles itself. Default: none. */
  onError?: (error: Error) => void;
}

export interface SubmitOptions {
  /** Each priority has an in-flight latch of its own. Default `aggregation`. */
  priority?: AdapterPriority;
  /** Time in which the service may start a proof, in milliseconds. Default: the adapter's. */
  deadlineMs?: number;
  /** Time until the proofs are worthless, in milliseconds. Default: from `timeToFence`. */
  fenceMs?: number;
  /** Replaces what is in flight at this priority, instead of skipping. Default false. */
  mayReplace?: boolean;
  /** Default: the server's, which allows parts. */
  partialPolicy?: PartialPolicy;
}

/**
 * A snapshot without its slot, which is that of the call. Groups are in the node's order of
 * preference. `submitOrSkip` copies every byte; then the node may change or reuse them.
 */
export type SnapshotInit = Omit<MessageInitShape<typeof SnapshotSchema>, "slot" | "$typeName">;

/** Each result carries the `requestId` of its submission. */
export type SubmitAnswer = { submitted: true; requestId: string } | { skipped: AdapterSkipReason };

/**
 * How one accepted group ended:
 * - `outcome`: as the service says. It has a proof if its status is `PROVED` or `PROVED_LATE`
 * - `duplicate`: an earlier proof of the same slot and root has all its participants
 * - `refused`: the `verify` hook did not accept its proof
 * - `lost`: the service restarted, or could not be reached until the fence
 *
 * The node acts on `outcome` only. The next snapshot carries the votes of the others.
 */
export type TickResult =
  | (GroupRef & { kind: "outcome"; outcome: Outcome })
  | (GroupRef & { kind: "duplicate" | "refused" | "lost" });
