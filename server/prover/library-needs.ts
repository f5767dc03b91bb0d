/**
 * What the service needs of a backend library. The prover process checks it after the library has
 * opened, and refuses to start with one sentence when the library cannot be used.
 */
import type { BackendDescription } from "../../native/addon.js";
import { limits } from "../limits.js";

/** The bit `LP_FOLD` in `kinds`. */
const FOLD = 1;
/** The bit `LP_MERGE` in `kinds`. */
const MERGE = 2;
/** The bit `LP_RAWS_BESIDE_CHILDREN` in `can`. */
const RAWS_BESIDE = 4;
/** The bit `LP_MERGE_RAWS` in `can`. */
const MERGE_RAWS = 8;
/** The bit `LP_SAME_KEY_TWICE` in `can`. */
const SAME_KEY_TWICE = 32;
/** The bit `LP_VERIFIES_BESIDE` in `can`. */
const VERIFIES_BESIDE = 256;
/** The bit in `arities` of two children, without which a large group could not become one proof. */
const TWO_CHILDREN = 1 << 2;
/** The bit in `rates` of `log_inv_rate` 0, the library's default rate. */
const DEFAULT_RATE = 1;

/**
 * Why the service cannot use the library: one sentence that names the library, its value, and what
 * the service needs. Undefined when it can use the library.
 */
export function unmetNeed(library: string, description: BackendDescription): string | undefined {
  const { kinds, can, fold, merge, rates, proofBytesMax } = description;
  const wrong = unusableName(description) ?? unusableSize(description);
  if (wrong !== undefined) return `library ${library} has ${wrong}`;
  if (proofBytesMax > limits.proofBytesMax) {
    return (
      `library ${library} has proof_bytes_max ${proofBytesMax}; ` +
      `the service takes proofs of at most ${limits.proofBytesMax} bytes, the chain's limit`
    );
  }
  if ((kinds & FOLD) === 0) {
    return `library ${library} has kinds ${kinds}; the service needs the kind FOLD (1)`;
  }
  const missing = missingFlag(can);
  if (missing !== undefined) return `library ${library} cannot ${missing}`;
  if (fold.childrenMax === 1) {
    return (
      `library ${library} has fold.children_max 1; ` +
      `the service folds two proofs into one: it needs at least 2, or 0 for no limit`
    );
  }
  if (fold.arities !== 0 && (fold.arities & TWO_CHILDREN) === 0) {
    return (
      `library ${library} has fold.arities 0x${fold.arities.toString(16)} without 2 children; ` +
      `the service needs bit 2, or 0 for any number`
    );
  }
  if (merge.arities !== 0 && messagesMaxOf(description) > 0) {
    return (
      `library ${library} has merge.arities 0x${merge.arities.toString(16)}; ` +
      `the service needs 0 for any number`
    );
  }
  const low = tooLowLimit(description);
  if (low !== undefined) return `library ${library} has ${low}`;
  if (rates > 0 && (rates & DEFAULT_RATE) === 0) {
    return (
      `library ${library} has rates 0x${rates.toString(16)} without its default; ` +
      `the service needs bit 0, or 0 for a single rate`
    );
  }
  return undefined;
}

/** Messages that a merge may have; 0 unless the library merges raw signatures and proofs. */
export function messagesMaxOf({ kinds, can, merge }: BackendDescription): number {
  if ((kinds & MERGE) === 0 || (can & MERGE_RAWS) === 0) return 0;
  const { claimsMax, childrenMax } = merge;
  return Math.min(claimsMax || Infinity, childrenMax || Infinity, limits.mergeMessagesMax);
}

/** Whether a fold of the library takes raw signatures or children, and never both at once. */
export function separatesRaws({ can }: BackendDescription): boolean {
  return (can & RAWS_BESIDE) === 0;
}

/**
 * What the library cannot do, for lack of a flag that the service needs. Inputs of one group may have keys in
 * common.
 */
function missingFlag(can: number): string | undefined {
  const needs = [
    [VERIFIES_BESIDE, "VERIFIES_BESIDE", "verify beside a proof"],
    [SAME_KEY_TWICE, "SAME_KEY_TWICE", "take a key in several inputs"],
  ] as const;
  const missing = needs.find(([flag]) => (can & flag) === 0);
  if (missing === undefined) return undefined;
  const [flag, name, what] = missing;
  return `${what} (can ${can}); the service needs ${name} (${flag})`;
}

/**
 * A limit that is below what the service folds, merges or has verified. It verifies what anybody calls a
 * merged proof, of as many keys as its messages may have; the raw signatures of a merge are among its keys.
 */
function tooLowLimit(description: BackendDescription): string | undefined {
  const { fold, merge } = description;
  const { validatorsMax, mergeKeysMax } = limits;
  const ofMerges = [
    ["merge.keys_max", merge.keysMax, messagesMaxOf(description) * validatorsMax],
    ["merge.raws_max", merge.rawsMax, mergeKeysMax],
    ["merge.raws_beside_max", merge.rawsBesideMax, mergeKeysMax],
  ] as const;
  const needs = [
    ["fold.keys_max", fold.keysMax, validatorsMax] as const,
    ...(messagesMaxOf(description) > 0 ? ofMerges : []),
  ];
  const low = needs.find(([, own, least]) => own !== 0 && own < least);
  return low && `${low[0]} ${low[1]}; the service needs at least ${low[2]}, or 0 for no limit`;
}

function unusableName(description: BackendDescription): string | undefined {
  for (const field of ["backend", "scheme", "revision"] as const) {
    const { length } = description[field];
    if (length > limits.proverNameLengthMax) {
      return `a ${field} of ${length} characters; the service takes ${limits.proverNameLengthMax}`;
    }
    if (!/^[\x20-\x7e]+$/.test(description[field])) {
      return `the ${field} ${JSON.stringify(description[field])}; the service needs printable ASCII`;
    }
  }
  return undefined;
}

function unusableSize({ publicKeyBytes, signatureBytes }: BackendDescription): string | undefined {
  const sizes = { public_key_bytes: publicKeyBytes, signature_bytes: signatureBytes };
  const large = Object.entries(sizes).find(([, bytes]) => bytes > limits.proverItemBytesMax);
  if (large === undefined) return undefined;
  return `${large.join(" ")}; the service takes at most ${limits.proverItemBytesMax}`;
}
