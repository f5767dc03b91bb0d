/** One run: a mode, so many slots, the scenario's faults; ends with its file written. */
import { writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { readRevision } from "../../../cli/run/process-log.js";
import { readBackendFile } from "../../../server/prover/device/backend-file.js";
import type { CryptoProcess } from "../crypto/crypto-process.js";
import type { Mode } from "../node/aggregators/aggregator.js";
import type { Intervals } from "../node/slot-time.js";
import type { NodeSettings } from "../node/messages.js";
import type { NodeRecord } from "../node/records.js";
import { scheduleFaults } from "./inject-fault.js";
import { freePorts } from "../../harness/processes/free-ports.js";
import { answerOf, recordEnd } from "./end-run.js";
import { Network } from "./network.js";
import { RunFile, runName, runPath, type RunRecord } from "./run-file.js";
import type { Scenario } from "./scenario.js";

/** From the last node's being ready to slot 0. */
const GENESIS_DELAY_MS = 1500;
/** Of a slot, half an interval: from two thirds of the votes to an early start. */
const EARLY_WAIT = 0.1;
/** After the last slot, for the last records to arrive. */
const LAST_RECORDS_MS = 1500;
/** The prover's time, as the service exports it. A node that proves in its own process records each proof. */
const SERVICE_PROOF_SECONDS = "lean_aggregator_server_proof_seconds";

export interface RunOptions {
  mode: Mode;
  slots: number;
  slotMs: number;
  intervals: Intervals;
  seed: number;
  lookaheadSlots: number;
  validators: number;
  nodes: number;
  aggregator: number;
  scenario: Scenario;
  /** Where the run's file and its metrics go. */
  folder: string;
}

export interface RunModules {
  signer: CryptoProcess;
  verifier: CryptoProcess;
  /** Each run's services record into a folder of its name in this one. Default: nowhere. */
  recordings: string | undefined;
  say(text: string): void;
}

/** Rejects when a process ended unasked. */
export async function runMode(options: RunOptions, modules: RunModules): Promise<void> {
  const { slots, slotMs } = options;
  const path = runPath(options.folder, options);
  const file = new RunFile(path, headerOf(options));
  const failure = deferredFailure();
  let genesisUnixMs = Number.POSITIVE_INFINITY;
  const slotNow = () => Math.max(0, Math.floor((Date.now() - genesisUnixMs) / slotMs));
  const add = (record: RunRecord) => file.add(record);
  const progress = progressOf(options, modules.say);
  const { recordings } = modules;
  const network = new Network(
    {
      onRecord: (node, record) => {
        add({ node, ...record });
        if (record.kind === "slot" && node === options.aggregator) progress(record);
      },
      onRestart: (what, tookMs) => add({ kind: "restart", slot: slotNow(), what, tookMs }),
      onFailure: failure.reject,
      onServiceLine: () => undefined,
    },
    recordings === undefined ? undefined : join(recordings, runName(options)),
  );
  for (const crypto of [modules.signer, modules.verifier]) crypto.onLost(failure.reject);
  try {
    await network.start(await settingsOf(options, modules));
    genesisUnixMs = Date.now() + GENESIS_DELAY_MS;
    network.beginAt(genesisUnixMs);
    const at = (slot: number) => genesisUnixMs + slot * slotMs;
    const countService = () => scrapeService(options, network, add);
    const context = { network, mode: options.mode, aggregator: options.aggregator };
    const onError = failure.reject;
    const faults = { ...context, add, countService, onError };
    const timers = scheduleFaults(options.scenario.faults, at, faults);
    const ending = until(at(slots + 1) + LAST_RECORDS_MS);
    await Promise.race([ending, failure.promise]).finally(() => timers.forEach(clearTimeout));
    const metrics = () => scrape(options, network, add);
    await recordEnd({ metrics, stop: () => network.stop() }, add);
  } finally {
    await network.killAll();
    await file.close();
  }
}

function headerOf({ folder, aggregator, ...options }: RunOptions) {
  const [cpu] = cpus();
  const machine = `${cpus().length} cores (${cpu?.model.trim() ?? "unknown"}), ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}`;
  const date = new Date().toISOString().slice(0, 10);
  const ownValidators = ownValidatorsOf(options, aggregator);
  return {
    kind: "run" as const,
    ...options,
    ownValidators,
    folder,
    aggregators: [aggregator],
    machine,
    date,
    revision: readRevision(),
  };
}

/**
 * The validators of each node: in turn, so that a node that is away misses every fourth proposal,
 * not all at once; or the first ones the aggregator's, and the others in turn over the other nodes.
 */
function ownValidatorsOf(
  { nodes, validators, scenario }: Pick<RunOptions, "nodes" | "validators" | "scenario">,
  aggregator: number,
): number[][] {
  const own: number[][] = Array.from({ length: nodes }, () => []);
  const { aggregatorValidators: first = 0 } = scenario;
  const others = own.filter((_, node) => first === 0 || node !== aggregator);
  for (let validator = 0; validator < validators; validator++) {
    const owner = validator < first ? own[aggregator] : others[(validator - first) % others.length];
    owner?.push(validator);
  }
  return own;
}

async function settingsOf(options: RunOptions, modules: RunModules): Promise<NodeSettings[]> {
  const { mode, nodes, validators, aggregator, slots } = options;
  const ports = await freePorts(nodes);
  const backend = readBackendFile(process.cwd());
  const { signer, verifier } = modules;
  const ownValidators = ownValidatorsOf(options, aggregator);
  const endpoint = await Network.endpoint(mode, dirname(signer.socketPath));
  return ports.map((_, node) => ({
    node,
    ports,
    keys: signer.keys.slice(0, validators),
    proposalKeys: signer.proposalKeys,
    ownValidators: ownValidators[node] ?? [],
    sockets: { signer: signer.socketPath, verifier: verifier.socketPath },
    mode,
    isAggregator: node === aggregator,
    endpoint,
    backend,
    slotMs: options.slotMs,
    intervals: options.intervals,
    foldsChildren: options.scenario.foldsChildren,
    hasTwoViews: options.scenario.hasTwoViews,
    componentsMax: options.scenario.componentsMax,
    blockProofEvery: options.scenario.blockProofEvery,
    lookaheadSlots: options.lookaheadSlots,
    earlyWaitMs: options.slotMs * EARLY_WAIT,
    lastSlot: slots,
  }));
}

/** Keeps what was exported at the end. Returns the node's. */
async function scrape(
  options: RunOptions,
  network: Network,
  add: (record: RunRecord) => void,
): Promise<string> {
  const { folder, aggregator } = options;
  const read = async () => {
    const port = await network.node(aggregator).ready;
    return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  };
  const node = await answerOf(`node ${aggregator}`, read());
  writeFileSync(join(folder, `${runName(options)}-node.metrics.txt`), node);
  await scrapeService(options, network, add);
  return node;
}

/** Keeps what the service has exported, and takes its prover's busy time from it. Nothing without a service. */
async function scrapeService(
  options: RunOptions,
  { service }: Network,
  add: (record: RunRecord) => void,
): Promise<void> {
  if (service === null) return;
  const text = await answerOf("the service", service.metrics());
  writeFileSync(join(options.folder, `${runName(options)}-service.metrics.txt`), text);
  const value = (suffix: string) =>
    Number(new RegExp(`^${SERVICE_PROOF_SECONDS}_${suffix} (\\S+)$`, "m").exec(text)?.[1] ?? "0");
  add({ kind: "prover", busySeconds: value("sum"), proofs: value("count") });
}

function progressOf({ slots, ...run }: RunOptions, say: (text: string) => void) {
  return (record: Extract<NodeRecord, { kind: "slot" }>) => {
    const { slot, headSlot, justifiedSlot, finalizedSlot } = record;
    if (slot % 10 !== 0 && slot !== slots) return;
    say(
      `${runName(run)}: slot ${slot} of ${slots}, head ${headSlot}, justified ${justifiedSlot}, finalized ${finalizedSlot}`,
    );
  };
}

function until(unixMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, unixMs - Date.now()));
}

function deferredFailure() {
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<never>((_, rejectIt) => (reject = rejectIt));
  promise.catch(() => undefined); // raced above
  return { promise, reject };
}
