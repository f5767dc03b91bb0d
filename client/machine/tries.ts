/** Rule 4: tries and their answers. A try is one `send`. */
import type { AdapterSkipReason, EventOf } from "./events.js";
import type { Draft } from "./draft.js";
import { placeAt } from "./draft.js";
import { noteService, RANK, targetOf } from "./endpoints.js";
import { hold, isHomeless, mayResend } from "./places.js";
import type { OpenTry, Request } from "./state.js";
import { latchKey, RETRY_MS } from "./state.js";

interface Sending {
  readonly afterMs: number;
  readonly deadlineAtMs: number;
  readonly isLookup: boolean;
  readonly isResubmission: boolean;
}

const NO_GROUPS: ReadonlySet<number> = new Set();

/** Sends the request. Its place there is asked from now on, if it has none yet. */
export function send<P>(draft: Draft<P>, request: Request, endpoint: string, how: Sending): void {
  const { afterMs, deadlineAtMs, isLookup, isResubmission } = how;
  const { requestId, fenceAtMs } = request;
  const place = {
    endpoint,
    isHeld: false,
    serviceId: null,
    ended: NO_GROUPS,
    isCrossing: false,
    isUnnamed: false,
  };
  const places = placeAt(request, endpoint) ? request.places : [...request.places, place];
  const resubmissions = request.resubmissions + (isResubmission ? 1 : 0);
  draft.put(request, {
    places,
    resubmissions,
    openTry: { endpoint, deadlineAtMs, isLookup },
  });
  draft.emit({
    kind: "send",
    requestId,
    endpoint,
    afterMs,
    deadlineAtMs,
    fenceAtMs,
    isLookup,
    isResubmission,
  });
}

/** Ends a request that no endpoint has accepted. */
export function skip<P>(draft: Draft<P>, request: Request, reason: AdapterSkipReason): void {
  draft.put(request, { isSkipped: true, openTry: null });
  draft.emit({ kind: "skip", requestId: request.requestId, reason });
}

/** Takes a submission. One whose request id is in use is ignored. */
export function submit<P>(draft: Draft<P>, { submission }: EventOf<P, "submitted">): void {
  const { requestId, deadlineAtMs } = submission;
  if (draft.next.requests.has(requestId)) return;
  const request: Request = draft.put({
    ...submission,
    isAccepted: false,
    isSkipped: false,
    isSummarised: false,
    hasBytes: true,
    openTry: null,
    places: [],
    refusedBy: [],
    ended: NO_GROUPS,
    resubmissions: 0,
    fencedAtMs: null,
  });
  const latch = latchKey(submission);
  draft.next.latches = new Map(draft.next.latches).set(latch, requestId);
  draft.next.latest = new Map(draft.next.latest).set(latch, requestId);
  if (draft.next.isClosed) return skip(draft, request, "draining");
  const target = targetOf(draft, request);
  if (target !== null && !draft.isFenced(request))
    send(draft, request, target.endpoint, ordinary(0, deadlineAtMs));
  boundBytes(draft);
}

/** Beyond the limit, the oldest request loses its bytes first. The newest one keeps them. */
function boundBytes<P>(draft: Draft<P>): void {
  const kept = draft.all().filter(({ hasBytes }) => hasBytes);
  let total = kept.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const request of kept.slice(0, -1)) {
    if (total <= draft.next.bytesMax) return;
    total -= request.bytes;
    draft.put(request, { hasBytes: false });
    draft.emit({ kind: "forget", requestId: request.requestId });
  }
}

export function accept<P>(draft: Draft<P>, event: EventOf<P, "accepted">): void {
  const { requestId, endpoint, serviceId, fenceAtMs } = event;
  const request = draft.next.requests.get(requestId);
  if (request === undefined) return;
  if (request.openTry?.endpoint !== endpoint && !placeAt(request, endpoint)) return;
  const shortened = { ...request, fenceAtMs: Math.min(request.fenceAtMs, fenceAtMs) };
  hold(draft, shortened, endpoint, serviceId);
}

export function refuse<P>(draft: Draft<P>, event: EventOf<P, "refused">): void {
  const { endpoint, reason } = event;
  const tried = endTry(draft, event);
  if (tried === null) return;
  const isResting = reason === "draining" || reason === "no_prover";
  if (isResting) noteService(draft, endpoint, reason);
  const request = draft.put(tried.request, {
    places: tried.request.places.filter((place) => place.endpoint !== endpoint),
    refusedBy: [...tried.request.refusedBy, endpoint],
  });
  if (request.isAccepted) return;
  const { deadlineAtMs } = tried.openTry;
  const target = isResting ? targetOf(draft, request) : null;
  if (target === null || target.rank === RANK.up || !canSend(draft, request, deadlineAtMs, 0))
    return skip(draft, request, reason);
  send(draft, request, target.endpoint, ordinary(0, deadlineAtMs));
}

export function fail<P>(draft: Draft<P>, event: EventOf<P, "failed">): void {
  const { endpoint, isTimeout } = event;
  const tried = endTry(draft, event);
  if (tried === null) return;
  const { request, openTry } = tried;
  if (request.isAccepted && !(isHomeless(draft, request) && mayResend(draft, request))) return;
  const { deadlineAtMs } = openTry;
  if (isTimeout && !openTry.isLookup && canSend(draft, request, Infinity, 0))
    return send(draft, request, endpoint, { ...ordinary(0, deadlineAtMs), isLookup: true });
  if (!isTimeout && canSend(draft, request, deadlineAtMs, RETRY_MS)) {
    // Without an endpoint the request is homeless: rule 5 sends it, or its deadline ends it.
    const target = targetOf(draft, request);
    if (target !== null) send(draft, request, target.endpoint, ordinary(RETRY_MS, deadlineAtMs));
    return;
  }
  if (!request.isAccepted) skip(draft, request, "unreachable");
}

/** Ends the try that this answers. Null: the answer does not count. */
function endTry<P>(
  draft: Draft<P>,
  { requestId, endpoint }: { requestId: string; endpoint: string },
): { request: Request; openTry: OpenTry } | null {
  const request = draft.next.requests.get(requestId);
  const openTry = request?.openTry;
  if (request === undefined || openTry?.endpoint !== endpoint) return null;
  return { request: draft.put(request, { openTry: null }), openTry };
}

function ordinary(afterMs: number, deadlineAtMs: number): Sending {
  return { afterMs, deadlineAtMs, isLookup: false, isResubmission: false };
}

/** Returns true if the bytes are there, and deadline and fence are later than `afterMs` from now. */
function canSend<P>(
  draft: Draft<P>,
  request: Request,
  deadlineAtMs: number,
  afterMs: number,
): boolean {
  const atMs = draft.nowMs + afterMs;
  if (!request.hasBytes || draft.isFenced(request)) return false;
  return deadlineAtMs > atMs && request.fenceAtMs > atMs;
}
