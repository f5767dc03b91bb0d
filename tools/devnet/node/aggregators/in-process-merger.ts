/**
 * Modes `inline` and `worker`: merges by the prover in the node's own process, on the thread that
 * ticks or beside it, after the votes' proofs that were asked for before. Nobody can end one.
 */
import type { BodyMerger, MergeAsk, Merged } from "./body-merger.js";
import type { InProcessProver } from "./in-process-prover.js";

export class InlineMerger implements BodyMerger {
  readonly canReplace = false;
  readonly #merged: Merged[] = [];

  constructor(private readonly prover: Pick<InProcessProver, "mergeBlocking">) {}

  startMerge(ask: MergeAsk): "started" {
    const startMs = performance.now();
    try {
      const proof = this.prover.mergeBlocking(ask);
      this.#merged.push(merged(ask, proof, performance.now() - startMs));
    } catch (error) {
      this.#merged.push(failed(ask, error));
    }
    return "started";
  }

  takeMerged(): Merged[] {
    return this.#merged.splice(0);
  }

  cancelMerge(): void {
    // it has ended
  }
}

export class WorkerMerger implements BodyMerger {
  readonly canReplace = false;
  readonly #merged: Merged[] = [];

  constructor(private readonly prover: Pick<InProcessProver, "merge">) {}

  startMerge(ask: MergeAsk): "started" {
    this.prover.merge(ask).then(
      ({ proof, proveMs }) => this.#merged.push(merged(ask, proof, proveMs)),
      (error: unknown) => this.#merged.push(failed(ask, error)),
    );
    return "started";
  }

  takeMerged(): Merged[] {
    return this.#merged.splice(0);
  }

  cancelMerge(): void {
    // it runs on, and its proof is dropped
  }
}

function merged(ask: MergeAsk, proof: Uint8Array, proveMs: number): Merged {
  return { ask, end: "proved", proof, proveMs, detail: "", bad: [] };
}

function failed(ask: MergeAsk, error: unknown): Merged {
  const detail = error instanceof Error ? error.message : String(error);
  return { ask, end: "failed", proof: null, proveMs: 0, detail, bad: [] };
}
