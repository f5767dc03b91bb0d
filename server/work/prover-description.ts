/** How a prover describes itself, and the name of its proof system. */
import { limits } from "../limits.js";

/**
 * A proof system, as requests and settings name it. What is empty is left open: with a scheme alone
 * any revision is meant, with neither the default.
 */
export interface ProofSystemName {
  readonly scheme: string;
  readonly revision: string;
}

/** Scheme and revision as one text, which is equal for provers that verify each other's proofs. */
export function proofSystemOf({ scheme, revision }: ProofSystemName): string {
  return `${scheme} ${revision}`;
}

/** The name of this text: a scheme, or a scheme and a revision after a space. */
export function proofSystemNamed(text: string): ProofSystemName {
  const [scheme = "", revision = ""] = text.split(" ");
  return { scheme, revision };
}

/** Whether the proof system is one that the name means. */
export function isNamed(name: ProofSystemName, of: ProofSystemName): boolean {
  return (["scheme", "revision"] as const).every(
    (part) => name[part] === "" || name[part] === of[part],
  );
}

/** Whether a proof is said to be of another proof system; one that says nothing is not. */
export function isOther(said: ProofSystemName | undefined, of: ProofSystemName): boolean {
  return said !== undefined && !isNamed(said, of);
}

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
