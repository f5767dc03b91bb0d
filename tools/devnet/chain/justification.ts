/** When a slot may be justified: leanSpec's 3SF-mini schedule. Pure. */

/**
 * True when the slot may be justified after the finalized one: up to 5 slots on, then at perfect
 * squares and pronic numbers (x² + x), so that the gaps grow while nothing is finalized.
 */
export function isJustifiableAfter(slot: number, finalizedSlot: number): boolean {
  const delta = slot - finalizedSlot;
  if (delta < 0) return false;
  if (delta <= 5) return true;
  const root = Math.floor(Math.sqrt(delta));
  return root * root === delta || root * root + root === delta;
}

/** How far behind the next slot that may be justified is finalized, if the one before was so far. */
export function nextJustifiableDelta(delta: number): number {
  let next = delta + 1;
  while (!isJustifiableAfter(next, 0)) next++;
  return next;
}

/** Two thirds or more. */
export function isSupermajority(votes: number, validators: number): boolean {
  return 3 * votes >= 2 * validators;
}
