/** Starts what makes a node's proofs in its mode: those of votes, if it aggregates, and of its blocks. */
import type { Registry } from "prom-client";
import type { CryptoClient } from "../crypto/crypto-client.js";
import { messageOf } from "../chain/containers.js";
import { isServed, type Aggregator, type ProvedGroup } from "./aggregators/aggregator.js";
import { keyOf, type BodyMerger } from "./aggregators/body-merger.js";
import { GoAdapter } from "./aggregators/go-adapter.js";
import { createInProcessMetrics, type InProcessMetrics } from "./aggregators/in-process-metrics.js";
import { InlineMerger, WorkerMerger } from "./aggregators/in-process-merger.js";
import { InProcessProver } from "./aggregators/in-process-prover.js";
import { InlineAggregator } from "./aggregators/inline-aggregator.js";
import { ServiceAggregator, type SkippedSession } from "./aggregators/service-aggregator.js";
import { WorkerAggregator } from "./aggregators/worker-aggregator.js";
import type { NodeSettings } from "./messages.js";
import type { DevnetNode } from "./node.js";
import type { NodeRecord } from "./records.js";
import type { SlotTime } from "./slot-time.js";

export interface Aggregation {
  /** Null where the node does not aggregate. */
  aggregator: Aggregator | null;
  /** Null where blocks have a proof for each attestation, and where the node has none to make. */
  merger: BodyMerger | null;
  close(): Promise<void>;
}

/** What aggregation needs of the node, which is made after it. */
export interface AggregationModules {
  registry: Registry;
  crypto: CryptoClient;
  node(): DevnetNode;
  onNews(text: string): void;
  onSkipped(session: SkippedSession): void;
}

const merges = ({ componentsMax, ownValidators }: NodeSettings): boolean =>
  componentsMax > 0 && ownValidators.length > 0;
const needsAny = (settings: NodeSettings): boolean => settings.isAggregator || merges(settings);

/** The default of the service's provers. */
const WORKER_NICE = 10;

export interface OwnProver {
  prover: InProcessProver;
  metrics: InProcessMetrics;
}

/**
 * The prover of a node that proves in its own process, or null. Resolves once it is set up. Each of its proofs
 * becomes a record at once: the node's process, and its metrics with it, may be killed in the next one.
 */
export async function startOwnProver(
  settings: NodeSettings,
  registry: Registry,
  record: (record: NodeRecord) => void,
): Promise<OwnProver | null> {
  if (isServed(settings.mode) || !needsAny(settings)) return null;
  const metrics = createInProcessMetrics(registry);
  // In `inline` the prover is the tick.
  const nice = settings.mode === "worker" ? WORKER_NICE : 0;
  const prover = await InProcessProver.start(settings.backend, nice, {
    tables: settings,
    onProved: (proveMs) => {
      metrics.proveSeconds.observe(proveMs / 1000);
      record({ kind: "prover", busySeconds: proveMs / 1000, proofs: 1 });
    },
  });
  return { prover, metrics };
}

/** @param ownProver see `startOwnProver` */
export function startAggregation(
  settings: NodeSettings,
  time: SlotTime,
  ownProver: OwnProver | null,
  modules: AggregationModules,
): Aggregation {
  if (!needsAny(settings))
    return { aggregator: null, merger: null, close: () => Promise.resolve() };
  const own =
    ownProver === null
      ? startServed(settings, time, modules)
      : startInProcess(settings, time, ownProver, modules);
  return {
    aggregator: settings.isAggregator ? own.aggregator : null,
    merger: merges(settings) ? own.merger : null,
    close: () => own.aggregator.close(),
  };
}

/** One interval, in every mode: time for more than one group where votes came late. */
const deadlineOf = ({ slotMs, intervals }: SlotTime) => slotMs / intervals;

function startInProcess(
  { mode, keys }: NodeSettings,
  time: SlotTime,
  { prover, metrics }: OwnProver,
  { crypto, onNews }: AggregationModules,
) {
  const deadlineMs = deadlineOf(time);
  if (mode === "inline") {
    const aggregator = new InlineAggregator(prover, metrics, deadlineMs);
    return { aggregator, merger: new InlineMerger(prover) };
  }
  const onError = ({ message }: Error) => onNews(message);
  const verify = ({ data, participants, proof }: ProvedGroup) => {
    const voters = participants.map((validator) => keyOf(keys, validator));
    return crypto.verifyProof([{ message: messageOf(data), keys: voters }], proof);
  };
  const modules = { prover, metrics, verify, onError };
  const aggregator = new WorkerAggregator({ time, deadlineMs }, modules);
  return { aggregator, merger: new WorkerMerger(prover) };
}

function startServed(
  settings: NodeSettings,
  time: SlotTime,
  { registry, crypto, node, onNews, onSkipped }: AggregationModules,
) {
  const { endpoint, keys, proposalKeys } = settings;
  const nodeId = `devnet-${settings.node}`;
  const deadlineMs = deadlineOf(time);
  const start = {
    endpoint,
    nodeId,
    genesisUnixMs: time.genesisUnixMs,
    slotMs: time.slotMs,
    deadlineMs,
    keys,
    verifier: settings.sockets.verifier,
  };
  const service = new ServiceAggregator(
    { endpoint, nodeId, time, deadlineMs, keys, proposalKeys },
    {
      ...(settings.mode === "go" && {
        adapter: new GoAdapter(start, { metrics: createInProcessMetrics(registry), onNews }),
      }),
      registry,
      checkpoints: () => ({
        head: { root: node().store.headBlock.root, slot: node().store.headBlock.slot },
        justified: node().store.justified,
      }),
      verify: (claims, proof) => crypto.verifyProof(claims, proof),
      onNews,
      onSkipped,
    },
  );
  return { aggregator: service, merger: service };
}
