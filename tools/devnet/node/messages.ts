/** What the orchestrator and a node's process say to each other. */
import type { BackendOptions } from "../../../server/prover/device/backend-file.js";
import type { Intervals } from "./slot-time.js";
import type { Mode } from "./aggregators/aggregator.js";
import type { NodeRecord } from "./records.js";

export interface NodeSettings {
  node: number;
  /** Loopback ports of gossip, by node. */
  ports: number[];
  keys: Uint8Array[];
  /** Empty where blocks are unsigned. */
  proposalKeys: Uint8Array[];
  ownValidators: number[];
  sockets: { signer: string; verifier: string };
  mode: Mode;
  isAggregator: boolean;
  /** The service, in modes `remote`, `sidecar` and `go`. */
  endpoint: string;
  backend: BackendOptions;
  slotMs: number;
  intervals: Intervals;
  foldsChildren: boolean;
  hasTwoViews: boolean;
  componentsMax: number;
  blockProofEvery: number;
  lookaheadSlots: number;
  earlyWaitMs: number;
  lastSlot: number;
}

export type ToNode =
  | { type: "settings"; settings: NodeSettings }
  /** Once it said `ready`. */
  | { type: "genesis"; genesisUnixMs: number }
  | { type: "drop"; peers: number[] }
  | { type: "stop" };

export type FromNode =
  /** Set up; where its metrics are. */
  { type: "ready"; metricsPort: number } | { type: "record"; record: NodeRecord };
