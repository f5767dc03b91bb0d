/**
 * The small proofs with which a device measures its speed, made of its calibration: one raw signature,
 * and that proof folded with a second one. Keeps the proof that is folded. Owned by `LearnedCosts`.
 */
import { foldOfAll } from "../../prover/prover.js";
import type { FoldInputs, Prover } from "../../prover/prover.js";
import { fitsOneJob, foldLimitsOf } from "../../work/fold-limits.js";
import type { Shape } from "../../work/shape.js";
import { atRate, smallestShape } from "../../work/shape.js";

/** A child beside one raw signature: the smallest proof with a child. */
const foldShape: Shape = { raws: 1, children: 1 };

export class Probes {
  /** The proof of the first signer, and its rate; undefined until it is made. */
  private kept: { readonly logInvRate: number; readonly proof: Uint8Array } | undefined;

  /** @param calibration the signers: of the first a proof is made, a second one is folded with it */
  constructor(private readonly calibration: FoldInputs | undefined) {}

  /** The shapes that can be proved at this rate by and by; with one signer there is no child. */
  shapes(prover: Prover, logInvRate: number): Shape[] {
    if (this.calibration === undefined) return [];
    const hasSecond = this.signersOf(prover).second !== undefined;
    const canFold = hasSecond && fitsOneJob(foldLimitsOf(prover.description), foldShape);
    const all = canFold ? [smallestShape, foldShape] : [smallestShape];
    return all.map((shape) => atRate(shape, logInvRate));
  }

  /** The shape that has to be proved before this one can be: itself, when it can be proved now. */
  firstFor(shape: Shape): Shape {
    const { logInvRate = 0 } = shape;
    const canProve = shape.children === 0 || this.kept?.logInvRate === logInvRate;
    return canProve ? shape : atRate(smallestShape, logInvRate);
  }

  /** Makes the proof. Rejects with `ProverError`; throws when it cannot be proved yet. */
  async prove(prover: Prover, shape: Shape): Promise<void> {
    const { logInvRate = 0 } = shape;
    const { message, first, second } = this.signersOf(prover);
    const common = { message, logInvRate };
    if (shape.children === 0) {
      const alone = { ...common, ...first, children: [] };
      const proof = await prover.prove(foldOfAll(prover.description, alone));
      this.kept = { logInvRate, proof };
      return;
    }
    const { kept } = this;
    if (kept?.logInvRate !== logInvRate || second === undefined) {
      throw new Error("the calibration has no such proof yet");
    }
    const child = { proof: kept.proof, keys: first.keys };
    const both = { ...common, ...second, children: [child] };
    await prover.prove(foldOfAll(prover.description, both));
  }

  private signersOf({ description }: Prover) {
    const { calibration } = this;
    if (calibration === undefined) throw new Error("the device has no calibration");
    const { message, keys, signatures } = calibration;
    const { publicKeyBytes, signatureBytes } = description;
    const at = (index: number) => ({
      keys: keys.subarray(index * publicKeyBytes, (index + 1) * publicKeyBytes),
      signatures: signatures.subarray(index * signatureBytes, (index + 1) * signatureBytes),
    });
    const hasSecond = keys.length > publicKeyBytes;
    return { message, first: at(0), second: hasSecond ? at(1) : undefined };
  }
}
