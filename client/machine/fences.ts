/** Step three: what time alone does (rule 9). */
import type { Draft } from "./draft.js";
import { unendedOf } from "./draft.js";
import { endAll } from "./ending.js";
import { isHomeless } from "./places.js";
import { fenceProofs } from "./proofs.js";
import type { Request } from "./state.js";
import { LOST_GRACE_MS } from "./state.js";
import { skip } from "./tries.js";

export function passTime<P>(draft: Draft<P>): void {
  for (const request of draft.all()) noteFence(draft, request);
  fenceProofs(draft);
  for (const request of draft.all()) endLate(draft, request);
}

function noteFence<P>(draft: Draft<P>, request: Request): void {
  if (request.fencedAtMs !== null || !draft.isPast(request)) return;
  draft.put(request, { fencedAtMs: Math.min(draft.nowMs, request.fenceAtMs) });
  draft.freeLatch(request);
}

function endLate<P>(draft: Draft<P>, request: Request): void {
  if (request.isSkipped) return;
  if (request.isAccepted) {
    if (isGraceOver(draft, request)) endAll(draft, request, unendedOf(request), "lost");
    return;
  }
  const isTooLate = draft.nowMs >= request.deadlineAtMs && isHomeless(draft, request);
  if (request.fencedAtMs !== null || isTooLate) skip(draft, request, "unreachable");
}

/** Returns true when the service can say nothing more of the request that counts. */
export function isGraceOver<P>(draft: Draft<P>, request: Request): boolean {
  const { fencedAtMs, places } = request;
  if (fencedAtMs === null) return false;
  if (draft.nowMs >= fencedAtMs + LOST_GRACE_MS) return true;
  return !places.some(({ endpoint, isHeld }) => isHeld && draft.kindOf(endpoint) === "up");
}
