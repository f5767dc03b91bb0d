/**
 * Measures the adapter's cost to a node's tick: the time inside its two calls, and the longest
 * single turn of the node's event loop from the tick until 40 ms later. The calls include the
 * encoding.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as pause } from "node:timers/promises";
import { TickAggregator } from "../../client/index.js";
import type { SnapshotInit } from "../../client/index.js";
import { SLOT, unprovableSnapshot } from "./inputs.js";
import type { Measurement } from "./measurement.js";
import { whileProving } from "./proof-load.js";
import type { Row } from "./report.js";
import { withService } from "./with-service.js";
import { quantile } from "./statistics.js";

const SIZES = [20_000, 200_000, 1_000_000];
/** Ticks measured while idle, as a share of those while proving: the figures vary less. */
const IDLE_SHARE = 0.1;
const WINDOW_MS = 40;
const RESOLUTION_MS = 1;
const GATES = { isAggregator: true, hasState: true };
const GOAL = { bytes: 1_000_000, turnP99Ms: 20 };

interface Tick {
  /** Time inside the adapter's two calls. */
  callsMs: number;
  /** The longest turn of the event loop from the tick until 40 ms later. */
  turnMs: number;
}

export const tickCost: Measurement = {
  name: "tick",
  seconds: ({ ticks }) => 20 + ticks * (SIZES.length + 1) * (1 + IDLE_SHARE) * 0.05,
  run: ({ ticks }, progress) =>
    withService(async ({ address }) => {
      const rows: Row[] = [];
      const goals: { what: string; value: number; atMost: number; unit: string }[] = [];
      const measure = async (state: string, bytes: number, count: number) => {
        const row = summary(await run(address, `${state}-${bytes}`, bytes, count));
        rows.push({ state, snapshotBytes: bytes, ...row });
        progress(`${state}, ${bytes} bytes: ${count} ticks`);
        if (state === "idle" || bytes !== GOAL.bytes) return;
        const what = `longest turn at ${bytes} bytes while proving, p99 of ${count} ticks`;
        goals.push({ what, value: row.turnP99Ms, atMost: GOAL.turnP99Ms, unit: " ms" });
      };
      for (const bytes of [0, ...SIZES])
        await measure("idle", bytes, Math.ceil(ticks * IDLE_SHARE));
      await whileProving(address, async () => {
        for (const bytes of [0, ...SIZES]) await measure("proving", bytes, ticks);
      });
      const notes = ["0 bytes: no submission, so what the host itself does to the loop."];
      return { title: "the adapter's cost to a tick of the node", rows, goals, notes };
    }),
};

function summary(ticks: readonly Tick[]) {
  const calls = ticks.map(({ callsMs }) => callsMs);
  const turns = ticks.map(({ turnMs }) => turnMs);
  return {
    ticks: ticks.length,
    callsP50Ms: quantile(calls, 0.5),
    callsP99Ms: quantile(calls, 0.99),
    turnP50Ms: quantile(turns, 0.5),
    turnP99Ms: quantile(turns, 0.99),
    turnMaxMs: Math.max(...turns),
  };
}

async function run(address: string, nodeId: string, bytes: number, count: number): Promise<Tick[]> {
  const errors: Error[] = [];
  const adapter = new TickAggregator({
    endpoints: address,
    nodeId,
    timeToFence: () => 5000,
    onError: (error) => errors.push(error),
  });
  const snapshot = bytes === 0 ? undefined : (unprovableSnapshot(bytes) as SnapshotInit);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  const ticks: Tick[] = [];
  while (ticks.length < count) {
    delay.reset();
    const startedMs = performance.now();
    tick(adapter, snapshot);
    const callsMs = performance.now() - startedMs;
    await pause(WINDOW_MS);
    ticks.push({ callsMs, turnMs: Math.max(0, delay.max / 1e6 - RESOLUTION_MS) });
    const [error] = errors;
    if (error !== undefined) throw error;
  }
  delay.disable();
  await adapter.close({ drainMs: 100 });
  return ticks;
}

/**
 * One tick of a node. Its snapshot replaces the one before, which is still queued while the service
 * proves. Without a snapshot the tick only takes results.
 */
function tick(adapter: TickAggregator, snapshot: SnapshotInit | undefined): void {
  adapter.takeResults(SLOT);
  if (snapshot === undefined) return;
  const options = { priority: "backlog", mayReplace: true } as const;
  const answer = adapter.submitOrSkip(SLOT, GATES, () => snapshot, options);
  if ("skipped" in answer) throw new Error(`skipped: ${answer.skipped}`);
}
