/**
 * How long the proofs of a recording take: what the nearest shape of the same message took then, on
 * average; in another shape by the ratio that a cost model learned from the whole recording gives. A
 * message that was not proved then takes what the model expects, with the recording's scatter.
 */
import type { CostModel } from "../../../server/work/costs/cost-model.js";
import { freshCostModel, learn, predictMs } from "../../../server/work/costs/cost-model.js";
import type { Shape } from "../../../server/work/shape.js";
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
  private readonly byRoot: ReadonlyMap<string, readonly RecordedProof[]>;

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
    this.byRoot = groupBy(proofs, ({ root }) => root);
  }

  protected override meanMs(shape: Shape): number {
    return predictMs(this.model, shape);
  }

  override proveMs(lane: number, group: GroupSpec, shape: Shape): number {
    const recorded = this.byRoot.get(group.root) ?? [];
    const apart = (other: Shape) =>
      Math.abs(other.raws - shape.raws) + 100 * Math.abs(other.children - shape.children);
    const least = Math.min(...recorded.map((proof) => apart(proof.shape)));
    const nearest = recorded.filter((proof) => apart(proof.shape) === least);
    if (nearest.length === 0) return super.proveMs(lane, group, shape);
    const ratios = nearest.map((proof) => proof.proveMs / this.meanMs(proof.shape));
    return (this.meanMs(shape) * ratios.reduce((sum, ratio) => sum + ratio, 0)) / ratios.length;
  }
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const own = groups.get(keyOf(item));
    if (own === undefined) groups.set(keyOf(item), [item]);
    else own.push(item);
  }
  return groups;
}
