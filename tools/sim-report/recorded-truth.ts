/**
 * How long the proofs of a recording take: what the same group took then, in the same shape; in
 * another shape by the ratio that a cost model learned from the whole recording gives. A group that
 * was not proved then takes what the model expects, with the scatter of the recording.
 */
import type { CostModel } from "../../server/work/cost-model.js";
import { freshCostModel, learn, predictMs } from "../../server/work/cost-model.js";
import type { Shape } from "../../server/work/shape.js";
import type { GroupSpec } from "./group-spec.js";
import { Truth } from "./truth.js";

/** One proof of the recording. */
export interface RecordedProof {
  root: string;
  shape: Shape;
  proveMs: number;
}

export class RecordedTruth extends Truth {
  private readonly model: CostModel;
  private readonly byRoot: ReadonlyMap<string, RecordedProof>;

  constructor(proofs: readonly RecordedProof[], lanes: number, seed: number) {
    const model = proofs.reduce(
      (learned, { shape, proveMs }) => learn(learned, shape, proveMs, 0),
      freshCostModel,
    );
    const errors = proofs.map(({ shape, proveMs }) => Math.log(proveMs / predictMs(model, shape)));
    const variance =
      errors.reduce((sum, error) => sum + error ** 2, 0) / Math.max(1, errors.length);
    const scatter = Math.min(0.5, Math.sqrt(variance));
    const speeds = Array.from({ length: lanes }, () => 1);
    super({ seed, speeds, childFactor: 1, scatter, slow: 0, crashes: 0, drift: 0 });
    this.model = model;
    this.byRoot = new Map(proofs.map((proof) => [proof.root, proof]));
  }

  protected override meanMs(shape: Shape): number {
    return predictMs(this.model, shape);
  }

  override proveMs(lane: number, group: GroupSpec, shape: Shape): number {
    const recorded = this.byRoot.get(group.root);
    if (recorded === undefined) return super.proveMs(lane, group, shape);
    return (recorded.proveMs * this.meanMs(shape)) / this.meanMs(recorded.shape);
  }
}
