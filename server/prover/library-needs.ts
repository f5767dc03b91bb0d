/**
 * What the service needs of a backend library. The prover process checks it after the library has
 * opened, and refuses to start with one sentence when the library cannot be used.
 */
import type { BackendDescription } from "../../native/addon.js";
import { limits } from "../limits.js";

/** The bit `LEAN_PROVER_KIND_AGGREGATE` in `kinds`. */
const KIND_AGGREGATE = 1;
/** The bit in `rates` of `log_inv_rate` 0, the library's default rate. */
const DEFAULT_RATE = 1;

/**
 * Why the service cannot use the library: one sentence that names the library, its value, and what
 * the service needs. Undefined when it can use the library.
 */
export function unmetNeed(library: string, description: BackendDescription): string | undefined {
  const { kinds, rawsMax, rates, keyOrderMatters } = description;
  if ((kinds & KIND_AGGREGATE) === 0) {
    return `library ${library} has kinds ${kinds}; the service needs the kind AGGREGATE (bit 0)`;
  }
  if (rawsMax > 0 && rawsMax < limits.validatorsMax) {
    return (
      `library ${library} has raws_max ${rawsMax}; ` +
      `the service needs at least ${limits.validatorsMax}, or 0 for no limit`
    );
  }
  if (rates > 0 && (rates & DEFAULT_RATE) === 0) {
    return (
      `library ${library} has rates 0x${rates.toString(16)} without its default; ` +
      `the service needs bit 0, or 0 for a single rate`
    );
  }
  if (keyOrderMatters) {
    return (
      `library ${library} has key_order_matters 1; ` +
      `the service needs 0, because it does not report the order of the keys in a proof`
    );
  }
  return undefined;
}
