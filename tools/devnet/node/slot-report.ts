/** Times the ticks, keeps the node's gauges, and sums each slot up in a record. */
import type { Counter, Histogram, Registry } from "prom-client";
import type { Store } from "../chain/store.js";
import { createNodeMetrics, type NodeMetrics } from "./metrics.js";
import type { NodeRecord, TickRecord } from "./records.js";
import { AGGREGATE, dutiesOf, intervalOf, slotOf, type Intervals } from "./slot-time.js";
import type { TickTime } from "./tick-loop.js";

const EXTRA = { isExtra: true } as const;

export class SlotReport {
  readonly #metrics: NodeMetrics;
  #ticks: TickRecord[] = [];
  /** The slot whose votes were taken before their interval. */
  #earlySlot = -1;

  constructor(
    private readonly registry: Registry,
    private readonly intervals: Intervals,
    private readonly tell: (record: NodeRecord) => void,
  ) {
    this.#metrics = createNodeMetrics(registry);
  }

  add(record: NodeRecord): void {
    this.tell(record);
  }

  /**
   * An early start holds the thread as its interval's tick would: it is timed as that, unless nothing was
   * taken. Returns what `run` returns.
   */
  timeEarly(slot: number, run: () => boolean): boolean {
    const startMs = performance.now();
    const isTaken = run();
    if (isTaken) this.#earlySlot = slot;
    const durationMs = performance.now() - startMs;
    this.#time({ interval: AGGREGATE, durationMs, lateMs: null, ...(!isTaken && EXTRA) });
    return isTaken;
  }

  onTaken(durationMs: number): void {
    this.#time({ interval: "results", durationMs, lateMs: null });
  }

  onTick({ tick, durationMs, lateMs }: TickTime, store: Store): void {
    const { intervals } = this;
    const [slot, interval] = [slotOf(tick, intervals), intervalOf(tick, intervals)];
    const isExtra = interval === AGGREGATE && this.#earlySlot === slot;
    this.#time({ interval, durationMs, lateMs, ...(isExtra && EXTRA) });
    this.#metrics.currentSlot.set(slot);
    this.#metrics.headSlot.set(store.headBlock.slot);
    this.#metrics.safeTargetSlot.set(store.blocks.get(store.safeTarget)?.slot ?? 0);
    this.#metrics.justifiedSlot.set(store.justified.slot);
    this.#metrics.finalizedSlot.set(store.finalized.slot);
    if (dutiesOf(interval, intervals).includes("accept")) void this.#endSlot(slot, store); // never rejects
  }

  end(store: Store): void {
    const chain = store
      .chainAfter(0)
      .map(({ block: { slot, proposerIndex: proposer } }) => ({ slot, proposer }));
    this.tell({ kind: "end", chain, finalizedSlot: store.finalized.slot });
  }

  #time(tick: TickRecord): void {
    this.#ticks.push(tick);
    if (tick.isExtra === true) return;
    this.#metrics.tickSeconds.observe({ interval: String(tick.interval) }, tick.durationMs / 1000);
  }

  async #endSlot(slot: number, store: Store): Promise<void> {
    const ticks = this.#ticks;
    this.#ticks = [];
    const record = {
      kind: "slot" as const,
      slot,
      headSlot: store.headBlock.slot,
      justifiedSlot: store.justified.slot,
      finalizedSlot: store.finalized.slot,
      ticks,
    };
    const [skips, sessions] = await Promise.all([this.#skips(), this.#sessions()]);
    this.tell({ ...record, skips, sessions });
  }

  async #sessions(): Promise<{ count: number; seconds: number }> {
    const name = "lean_aggregator_worker_duration_seconds";
    const histogram = this.registry.getSingleMetric(name) as Histogram | undefined;
    const values = (await histogram?.get())?.values ?? [];
    const of = (part: string) =>
      values.find(({ metricName }) => metricName === `${name}_${part}`)?.value ?? 0;
    return { count: of("count"), seconds: of("sum") };
  }

  /** From the metric that adapter and in-process modes share; empty where nothing aggregates. */
  async #skips(): Promise<Record<string, number>> {
    const skips = this.registry.getSingleMetric("lean_aggregator_skipped_total") as
      Counter<"reason"> | undefined;
    const values = (await skips?.get())?.values ?? [];
    return Object.fromEntries(
      values.filter(({ value }) => value > 0).map(({ labels, value }) => [labels.reason, value]),
    );
  }
}
