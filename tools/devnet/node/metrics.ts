/** A node's own metrics, under the names that lean clients share. */
import { collectDefaultMetrics, Gauge, Histogram, type Registry } from "prom-client";

const TICK_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 0.8, 1, 1.6, 2.4, 4];

export type NodeMetrics = ReturnType<typeof createNodeMetrics>;

export function createNodeMetrics(registry: Registry) {
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  return {
    tickSeconds: new Histogram({
      name: "lean_tick_interval_duration_seconds",
      help: "Time the node's thread spent in one tick, by interval of the slot, or applying results",
      labelNames: ["interval"] as const,
      buckets: TICK_SECONDS,
      registers,
    }),
    currentSlot: gauge("lean_current_slot", "Slot of the node's last tick"),
    headSlot: gauge("lean_head_slot", "Slot of the head"),
    safeTargetSlot: gauge("lean_safe_target_slot", "Slot of the safe target"),
    justifiedSlot: gauge("lean_latest_justified_slot", "Slot of the latest justified checkpoint"),
    finalizedSlot: gauge("lean_latest_finalized_slot", "Slot of the latest finalized checkpoint"),
  };
}
