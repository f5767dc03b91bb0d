/** What the service counts as held for requests that have ended. */
import { limits } from "../../server/limits.js";

/**
 * Bytes that count as held for ended requests with so many outcomes together, which have no proofs.
 * @param leftOut number of inputs that the outcomes name as left out
 */
export function heldOnceEnded(requests: number, outcomes: number, leftOut = 0): number {
  const { recordBytes, outcomeBytes, leftOutBytes } = limits;
  return requests * recordBytes + outcomes * outcomeBytes + leftOut * leftOutBytes;
}
