/**
 * Mode `worker`: a frozen snapshot, a prover thread in the node's own process, off the tick; a busy
 * prover means that the snapshot is skipped. As several clients do it today. What the service does beyond
 * that, it does too: proofs are verified, and votes of earlier slots have longer to start.
 */
import type { VoteGroup } from "../../chain/freeze-votes.js";
import type { SlotTime } from "../slot-time.js";
import type { Aggregator, ProvedGroup, Submission } from "./aggregator.js";
import { backlogDeadlineMs } from "./backlog-deadline.js";
import type { InProcessMetrics } from "./in-process-metrics.js";
import { isProvable, provedGroup, takeFresh } from "./in-process-session.js";
import type { InProcessProver } from "./in-process-prover.js";

export class WorkerAggregator implements Aggregator {
  readonly #proved: ProvedGroup[] = [];
  #isBusy = false;

  constructor(
    private readonly options: {
      time: SlotTime;
      /** From submission, in milliseconds: no further group of the slot is started later. */
      deadlineMs: number;
    },
    private readonly modules: {
      prover: Pick<InProcessProver, "prove" | "close">;
      metrics: InProcessMetrics;
      /** Whether the proof attests its participants. */
      verify(proved: ProvedGroup): Promise<boolean>;
      onError(error: Error): void;
    },
  ) {}

  submit(slot: number, snapshot: () => VoteGroup[]): Submission[] {
    if (this.#isBusy) {
      this.modules.metrics.skips.inc({ reason: "in_flight" });
      return [{ priority: "aggregation", skipped: "in_flight" }];
    }
    this.#isBusy = true;
    this.#prove(slot, snapshot())
      .catch(this.modules.onError)
      .finally(() => (this.#isBusy = false));
    return [{ priority: "aggregation", skipped: null }];
  }

  take(currentSlot: number): ProvedGroup[] {
    return takeFresh(this.#proved, currentSlot, this.modules.metrics);
  }

  close(): Promise<void> {
    return this.modules.prover.close();
  }

  async #prove(slot: number, groups: VoteGroup[]): Promise<void> {
    const { prover, metrics, onError } = this.modules;
    const startMs = performance.now();
    const sinceMs = () => performance.now() - startMs;
    const backlogMs = backlogDeadlineMs(this.options.time, slot);
    for (const group of groups.filter(isProvable)) {
      const deadlineMs = group.data.slot < slot ? backlogMs : this.options.deadlineMs;
      if (sinceMs() > deadlineMs) continue;
      const proof = await prover.prove(group);
      const proved = provedGroup(slot, group, proof, sinceMs() > deadlineMs);
      this.#verify(proved).catch(onError); // beside the next group's proof
    }
    metrics.workerSeconds.observe(sinceMs() / 1000);
  }

  async #verify(proved: ProvedGroup): Promise<void> {
    if (!(await this.modules.verify(proved))) throw new Error("a proof does not verify");
    this.#proved.push(proved);
  }
}
