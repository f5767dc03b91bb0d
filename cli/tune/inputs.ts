/** The inputs of the proofs that `tune` makes: the votes of a backend's calibration. Pure. */
import { concat } from "../../server/bytes.js";
import type { Calibration } from "../../server/prover/device/backend-file.js";
import { foldOfAll } from "../../server/prover/prover.js";
import type { ProofJob } from "../../server/prover/prover.js";
import type { Shape } from "../../server/work/shape.js";

export interface TuneInputs {
  /** Most raw signatures of a proof. A vote counts once in a proof: none may be repeated. */
  readonly rawsMax: number;
  /**
   * The request of a proof of this shape. @param child a proof of the first vote, folded as often as
   * the shape has children; needed only where it has some
   */
  request(shape: Shape, child: Uint8Array | undefined): ProofJob;
}

export function calibrationInputs({ message, votes }: Calibration): TuneInputs {
  const [first] = votes;
  if (first === undefined) throw new Error("a calibration has a vote");
  const sizes = { publicKeyBytes: first.publicKey.length };
  return {
    rawsMax: votes.length,
    request: ({ raws, children }, proof) => {
      if (raws > votes.length) throw new RangeError("more raw signatures than votes");
      if (children > 0 && proof === undefined) throw new Error("a child needs a proof");
      // Beside a child of the first vote come the others, where there are enough.
      const from = children > 0 && raws < votes.length ? 1 : 0;
      const used = votes.slice(from, from + raws);
      const child = { proof: proof ?? new Uint8Array(), keys: first.publicKey };
      return foldOfAll(sizes, {
        message,
        keys: concat(used.map(({ publicKey }) => publicKey)),
        signatures: concat(used.map(({ signature }) => signature)),
        children: Array.from({ length: children }, () => child),
        logInvRate: 0,
      });
    },
  };
}
