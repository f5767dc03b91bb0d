/**
 * Mode `worker`: a frozen snapshot, a prover thread in the node's own process, off the tick; a busy
 * prover means that the snapshot is skipped. As several clients do it today.
 */
import type { VoteGroup } from "../../chain/freeze-votes.js";
import type { Aggregator, ProvedGroup } from "./aggregator.js";
import type { InProcessMetrics } from "./in-process-metrics.js";
import { isProvable, provedGroup, takeFresh } from "./in-process-session.js";
import type { InProcessProver } from "./in-process-prover.js";

export class WorkerAggregator implements Aggregator {
  readonly #proved: ProvedGroup[] = [];
  #isBusy = false;

  constructor(
    private readonly modules: {
      prover: Pick<InProcessProver, "prove" | "close">;
      metrics: InProcessMetrics;
      onError(error: Error): void;
    },
    /** From submission, in milliseconds: no further group is started later. */
    private readonly deadlineMs: number,
  ) {}

  submit(slot: number, snapshot: () => VoteGroup[]): string {
    if (this.#isBusy) {
      this.modules.metrics.skips.inc({ reason: "in_flight" });
      return "in_flight";
    }
    this.#isBusy = true;
    this.#prove(slot, snapshot())
      .catch(this.modules.onError)
      .finally(() => (this.#isBusy = false));
    return "submitted";
  }

  take(currentSlot: number): ProvedGroup[] {
    return takeFresh(this.#proved, currentSlot, this.modules.metrics);
  }

  close(): Promise<void> {
    return this.modules.prover.close();
  }

  async #prove(slot: number, groups: VoteGroup[]): Promise<void> {
    const { prover, metrics } = this.modules;
    const startMs = performance.now();
    const sinceMs = () => performance.now() - startMs;
    for (const group of groups.filter(isProvable)) {
      if (sinceMs() > this.deadlineMs) break;
      const beforeMs = performance.now();
      const proof = await prover.prove(group);
      metrics.proveSeconds.observe((performance.now() - beforeMs) / 1000);
      this.#proved.push(provedGroup(slot, group, proof, sinceMs() > this.deadlineMs));
    }
    metrics.workerSeconds.observe(sinceMs() / 1000);
  }
}
