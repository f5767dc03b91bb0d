/** The demo's node: a tick loop in real slot time that submits scenes and takes their results. */
import { setTimeout as delay } from "node:timers/promises";
import { TickAggregator } from "../../client/index.js";
import type { SnapshotInit, TickResult } from "../../client/index.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { CommittedVotes } from "../example/votes.js";
import { snapshotOf } from "../example/votes.js";
import { outcomeHeader, outcomeLine } from "../io/outcome-line.js";
import type { Pace } from "./pace.js";
import { FENCE_SLOTS } from "./pace.js";
import { BUSY_SLOT, FIRST_SLOT, LAST_SLOT, sceneOf } from "./scenes.js";

/** The interval of a slot in which the node hands its votes over. */
export const AGGREGATION_INTERVAL = 2;

/** Time for an outcome to arrive after the fence. */
const GRACE_MS = 2000;

export interface NodeModules {
  pace: Pace;
  votes: CommittedVotes;
  say: (line: string) => void;
  signal: AbortSignal;
}

/** Every outcome that the node took, and how long each of its ticks lasted, in milliseconds. */
export interface NodeRun {
  outcomes: Outcome[];
  tickMs: number[];
}

/** Runs the ticks of all slots, and of more until nothing is open. Rejects when `signal` aborts. */
export async function runNode(address: string, modules: NodeModules): Promise<NodeRun> {
  const { say, signal, pace } = modules;
  const { slotMs, intervalMs } = pace;
  const genesisUnixMs = Date.now() + 500 - FIRST_SLOT * slotMs;
  const open: OpenRequests = new Map();
  const node = new TickAggregator({
    endpoints: address,
    nodeId: "demo",
    timeToFence: { slotMs, genesisUnixMs },
    onError: (error) => say(`  adapter: ${error.message}`),
    onSkip: (reason, requestId) => {
      open.delete(requestId);
      say(`           skipped: ${reason}${meaningOf(reason)}`);
    },
  });
  const outcomes: Outcome[] = [];
  const tickMs: number[] = [];
  const apply = (result: TickResult) => {
    const before = open.get(result.requestId);
    if (before !== undefined && before.groups > 1)
      open.set(result.requestId, { ...before, groups: before.groups - 1 });
    else open.delete(result.requestId);
    if (result.kind !== "outcome") return say(`           ${result.kind}`);
    say(`           ${outcomeLine(result.outcome)}`);
    outcomes.push(result.outcome);
  };
  try {
    for (let slot = FIRST_SLOT; slot <= LAST_SLOT || open.size > 0; slot++) {
      for (let interval = 0; interval < slotMs / intervalMs; interval++) {
        const dueMs = genesisUnixMs + slot * slotMs + interval * intervalMs;
        await delay(dueMs - Date.now(), undefined, { signal });
        const startedMs = performance.now();
        const results = node.takeResults(slot);
        const report = submitAt({ node, slot, interval, open, modules });
        const tookMs = performance.now() - startedMs;
        tickMs.push(tookMs);
        if (interval === 0) say(`\nslot ${slot}`);
        if (report !== undefined)
          say(`  interval ${interval}: ${report}; the tick took ${tookMs.toFixed(1)} ms`);
        if (results.length > 0) say(`           ${outcomeHeader()}`);
        results.forEach(apply);
        for (const each of takePast(open, dueMs)) {
          say(
            `           slot ${each.slot}: groups without a proof at their fence: ${each.groups}`,
          );
        }
      }
    }
    return { outcomes, tickMs };
  } finally {
    await node.close();
  }
}

const meaningOf = (reason: string) =>
  reason === "no_prover" ? ": the prover that was killed at the fence is set up again" : "";

/** What was submitted and has no result yet, by request. */
type OpenRequests = Map<string, { slot: number; groups: number; fenceAtMs: number }>;

/** Takes out what is past its fence: the adapter drops proofs that come later, and says nothing. */
function takePast(open: OpenRequests, nowMs: number) {
  const past = [...open].filter(([, { fenceAtMs }]) => fenceAtMs + GRACE_MS < nowMs);
  for (const [requestId] of past) open.delete(requestId);
  return past.map(([, each]) => each);
}

interface Tick {
  node: TickAggregator;
  slot: number;
  interval: number;
  open: OpenRequests;
  modules: NodeModules;
}

/** The aggregating interval submits; so does, on purpose, the one after it in one slot. */
function submitAt({ node, slot, interval, open, modules }: Tick): string | undefined {
  const scene = sceneOf(slot, modules);
  const isAgain = slot === BUSY_SLOT && interval === AGGREGATION_INTERVAL + 1;
  if (scene === undefined || (interval !== AGGREGATION_INTERVAL && !isAgain)) return undefined;
  const { story, groups, ...options } = scene;
  const make = (): SnapshotInit => snapshotOf(slot, groups, modules.votes.keyTable());
  const duty = { isAggregator: true, hasState: true };
  const answer = node.submitOrSkip(slot, duty, make, options);
  if ("skipped" in answer) return `skipped, ${answer.skipped}: the session before is still proving`;
  const { fenceMs = modules.pace.slotMs * FENCE_SLOTS } = options;
  open.set(answer.requestId, { slot, groups: groups.length, fenceAtMs: Date.now() + fenceMs });
  return `submitted. ${story}`;
}
