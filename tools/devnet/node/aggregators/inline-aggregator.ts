/** Mode `inline`: the proof is made on the thread that ticks, which stands still meanwhile. */
import type { VoteGroup } from "../../chain/freeze-votes.js";
import type { Aggregator, ProvedGroup, Submission } from "./aggregator.js";
import type { InProcessMetrics } from "./in-process-metrics.js";
import { isProvable, provedGroup, takeFresh } from "./in-process-session.js";
import type { InProcessProver } from "./in-process-prover.js";

export class InlineAggregator implements Aggregator {
  readonly #proved: ProvedGroup[] = [];

  constructor(
    private readonly prover: Pick<InProcessProver, "proveBlocking" | "close">,
    private readonly metrics: InProcessMetrics,
    /** From submission, in milliseconds: no further group is started later. */
    private readonly deadlineMs: number,
  ) {}

  submit(slot: number, snapshot: () => VoteGroup[]): Submission[] {
    const startMs = performance.now();
    const sinceMs = () => performance.now() - startMs;
    for (const group of snapshot().filter(isProvable)) {
      if (sinceMs() > this.deadlineMs) break;
      const proof = this.prover.proveBlocking(group);
      this.#proved.push(provedGroup(slot, group, proof, sinceMs() > this.deadlineMs));
    }
    this.metrics.workerSeconds.observe(sinceMs() / 1000);
    return [{ priority: "aggregation", skipped: null }];
  }

  /** A proof can outlast its own fence, and nobody can stop it. */
  take(currentSlot: number): ProvedGroup[] {
    return takeFresh(this.#proved, currentSlot, this.metrics);
  }

  close(): Promise<void> {
    return this.prover.close();
  }
}
