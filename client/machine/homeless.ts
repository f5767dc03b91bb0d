/** Step two: sends the requests that need an endpoint (rule 5), and frees their latches (rule 3). */
import type { Draft } from "./draft.js";
import { RANK, targetOf } from "./endpoints.js";
import { isHomeless, mayResend } from "./places.js";
import type { Request } from "./state.js";
import { RESUBMISSIONS_MAX } from "./state.js";
import { send } from "./tries.js";

export function placeHomeless<P>(draft: Draft<P>): void {
  for (const request of draft.all())
    if (isHomeless(draft, request) && !resend(draft, request)) draft.freeLatch(request);
}

function resend<P>(draft: Draft<P>, request: Request): boolean {
  if (!mayResend(draft, request) || request.resubmissions >= RESUBMISSIONS_MAX) return false;
  // Nobody has it: this is still the node's own try.
  const isResubmission = request.isAccepted || request.places.length > 0;
  const deadlineAtMs = isResubmission ? request.fenceAtMs : request.deadlineAtMs;
  const target = targetOf(draft, request);
  if (target === null || target.rank < RANK.up || draft.nowMs >= deadlineAtMs) return false;
  const how = { afterMs: 0, deadlineAtMs, isLookup: false, isResubmission };
  send(draft, request, target.endpoint, how);
  return true;
}
