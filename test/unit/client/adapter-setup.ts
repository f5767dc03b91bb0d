/** An adapter in front of a scripted service. */
import { Registry } from "prom-client";
import { expect, vi } from "vitest";
import { TickAggregator } from "../../../client/index.js";
import type { TickAggregatorOptions, TickResult } from "../../../client/index.js";
import type { SkipReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ScriptedService } from "./scripted-service.js";

export const GATES = { isAggregator: true, hasState: true };

/** Wide, as a prover may have the machine. */
export const eventually = <T>(check: () => T | Promise<T>) =>
  vi.waitFor(check, { timeout: 10_000, interval: 10 });

/** What a test file runs after each of its tests, last first. */
export const cleanups: (() => unknown)[] = [];
export async function cleanUp(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** Resolves once the adapter has its stream. */
export async function start(options: Partial<TickAggregatorOptions> = {}) {
  const script = new ScriptedService();
  const address = await script.listen();
  cleanups.push(() => script.stop());
  const clock = { nowMs: 0 };
  const registry = new Registry();
  const aggregator = new TickAggregator({
    endpoints: address,
    nodeId: "test",
    timeToFence: () => 7000,
    nowMs: () => clock.nowMs,
    registry,
    ...options,
  });
  cleanups.push(() => aggregator.close({ drainMs: 0 }));
  await eventually(() => expect(script.streams).toHaveLength(1));
  const metric = async (name: string, labels: Record<string, string> = {}) => {
    const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
    const isAsked = (each: { labels: object }) =>
      Object.entries(labels).every(([key, value]) => Reflect.get(each.labels, key) === value);
    return values.find(isAsked)?.value;
  };
  return { script, aggregator, clock, metric };
}

export const skippedAs = (reason: SkipReason) =>
  ({ result: { case: "skipped", value: { reason } } }) as const;

export const snapshot = (groups = 1) => ({ groups: Array.from({ length: groups }, () => ({})) });

/** The next results, once there are any. */
export async function takeOne(aggregator: TickAggregator, slot = 5): Promise<TickResult[]> {
  return eventually(() => {
    const results = aggregator.takeResults(slot);
    expect(results.length).toBeGreaterThan(0);
    return results;
  });
}
