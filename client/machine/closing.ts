/** Rules 10 and 12: requests that are over, and the end of the adapter. */
import type { Draft } from "./draft.js";
import { unendedOf } from "./draft.js";
import { cancelAt, endAll } from "./ending.js";
import { isGraceOver } from "./fences.js";
import { willResend } from "./places.js";
import { endVerified } from "./proofs.js";
import type { Request } from "./state.js";
import { skip } from "./tries.js";

/** Ends everything: nothing more will come. */
export function close<P>(draft: Draft<P>): void {
  draft.next.isClosing = true;
  draft.next.isClosed = true;
  for (const request of draft.all()) endRequest(draft, request);
  for (const { ref } of draft.next.verifying.values()) endVerified(draft, { ref, isValid: false });
}

function endRequest<P>(draft: Draft<P>, request: Request): void {
  const unended = unendedOf(request);
  if (unended.length === 0) return;
  const reached = draft
    .placesOf(request)
    .filter(({ endpoint }) => draft.kindOf(endpoint) !== "down");
  cancelAt(draft, request.requestId, reached, unended);
  if (request.isAccepted) endAll(draft, request, unended, "lost");
  else skip(draft, request, "draining");
}

/** Step four: ends the groups that nobody will end, and forgets the requests that are over. */
export function forgetOver<P>(draft: Draft<P>): void {
  for (const before of draft.all()) {
    if (before.isAccepted) endAbandoned(draft, before);
    const request = draft.next.requests.get(before.requestId) ?? before;
    if (!isOver(draft, request)) continue;
    draft.freeLatch(request);
    draft.remove(request);
    if (request.hasBytes) draft.emit({ kind: "forget", requestId: request.requestId });
  }
}

function endAbandoned<P>(draft: Draft<P>, request: Request): void {
  const abandoned = unendedOf(request).filter((group) =>
    request.places.every(({ ended }) => ended.has(group)),
  );
  if (abandoned.length > 0 && !willResend(draft, request))
    endAll(draft, request, abandoned, "lost");
}

function isOver<P>(draft: Draft<P>, request: Request): boolean {
  if (request.isSkipped || draft.next.isClosed) return true;
  if (request.ended.size < request.groups) return false;
  if (request.isSummarised || isGraceOver(draft, request)) return true;
  return request.places.every(({ isHeld }) => !isHeld);
}
