/** How a prover describes itself. Provers of one service have the same scheme and revision. */
import { limits } from "../limits.js";

/** Sizes are bytes; 0 in a field that ends in `Max` means no limit, but for `messagesMax`. */
export interface ProverDescription {
  backend: string;
  scheme: string;
  revision: string;
  publicKeyBytes: number;
  signatureBytes: number;
  proofBytesMax: number;
  /** Children of a fold. */
  childrenMax: number;
  /** Raw signatures of a fold without children. Default: 0. */
  rawsMax?: number;
  /** Raw signatures of a fold with children. Default: 0. */
  rawsBesideMax?: number;
  /** Whether a fold with children takes no raw signatures at all. Default: false. */
  separatesRaws?: boolean;
  /** Bit n is set when a fold takes n children; 0: any number up to `childrenMax`. Default: 0. */
  arities?: number;
  /** Messages of a merge, whose inputs are raw signatures and proofs; 0: it cannot merge. */
  messagesMax: number;
  /** Bit n is set when `log_inv_rate` n is offered; 0: the default rate only. */
  rates: number;
  /** Whether the prover only simulates proofs; no verifier takes such a proof for a real one. */
  fake: boolean;
  /**
   * Keys and signatures of any size are taken: the prover gets the SHA-256 of each, and the sizes
   * here are those of a SHA-256. Only of a fake prover.
   */
  anySize?: boolean;
}

/** The values of `log_inv_rate` that the prover offers, ascending; 0 is always one of them. */
export function offeredRates({ rates }: Pick<ProverDescription, "rates">): number[] {
  const all = Array.from({ length: limits.rateMax + 1 }, (_, rate) => rate);
  return all.filter((rate) => rate === 0 || ((rates >>> rate) & 1) === 1);
}
