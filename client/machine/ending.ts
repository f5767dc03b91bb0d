/** Rules 8, 10 and 12: how groups end, each once. */
import type { EventOf, GroupRef, WireOutcome } from "./events.js";
import type { Draft } from "./draft.js";
import { placeAt, unendedOf } from "./draft.js";
import { noteService, RANK, targetOf } from "./endpoints.js";
import { hold, isLive, leave } from "./places.js";
import { endProof, keepResult } from "./proofs.js";
import type { Place, Request } from "./state.js";
import { NEVER } from "./state.js";

/** Takes an outcome. From an endpoint without a place, only a proof counts. */
export function receive<P>(draft: Draft<P>, event: WireOutcome<P>): void {
  const { endpoint, groupIndex, isProof, isDrained } = event;
  const before = draft.next.requests.get(event.requestId);
  if (before === undefined || groupIndex >= before.groups) return;
  let request = arrive(draft, before, endpoint);
  const place = placeAt(request, endpoint);
  if (place === undefined && !isProof) return;
  if (place !== undefined) {
    if (isDrained) noteService(draft, endpoint, "draining");
    if (isDrained && hasReady(draft)) return leave(draft, request, endpoint);
    request = endAtPlace(draft, request, place, [groupIndex]);
  }
  if (request.ended.has(groupIndex)) return;
  if (!isProof && isOpenElsewhere(draft, request, event)) return;
  endByOutcome(draft, request, event);
}

/** An event is as good as the service's answer. */
function arrive<P>(draft: Draft<P>, request: Request, endpoint: string): Request {
  if (placeAt(request, endpoint) === undefined) return request;
  return hold(draft, request, endpoint, draft.link(endpoint)?.serviceId ?? null);
}

function hasReady<P>(draft: Draft<P>): boolean {
  return targetOf(draft, null)?.rank === RANK.ready;
}

function isOpenElsewhere<P>(draft: Draft<P>, request: Request, event: WireOutcome<P>): boolean {
  return request.places.some(
    (place) => !place.ended.has(event.groupIndex) && isLive(draft, request, place),
  );
}

function endAtPlace<P>(
  draft: Draft<P>,
  request: Request,
  place: Place,
  groups: readonly number[],
): Request {
  const ended = new Set([...place.ended, ...groups]);
  const places = request.places.map((each) => (each === place ? { ...place, ended } : each));
  return draft.put(request, { places });
}

function endByOutcome<P>(draft: Draft<P>, request: Request, event: WireOutcome<P>): void {
  const { endpoint, requestId, groupIndex, payload } = event;
  const ended = new Set(request.ended).add(groupIndex);
  draft.put(request, { ended, isAccepted: true });
  for (const place of draft.placesOf(request))
    if (place.isHeld && !place.ended.has(groupIndex))
      draft.emit({ kind: "cancel", endpoint: place.endpoint, requestId, groups: [groupIndex] });
  const ref: GroupRef = { requestId, groupIndex, slot: request.slot, endpoint };
  const { holdUntilMs } = request;
  if (event.isProof) endProof(draft, request, event, ref);
  else keepResult(draft, { ...NEVER, holdUntilMs, result: { kind: "outcome", ref, payload } });
}

/** Takes the end of a request at one endpoint. The first one of a request is for the metrics. */
export function summarise<P>(draft: Draft<P>, event: EventOf<P, "summary">): void {
  const { endpoint, requestId, durationMs } = event;
  const before = draft.next.requests.get(requestId);
  if (before === undefined) return;
  const arrived = arrive(draft, before, endpoint);
  const place = placeAt(arrived, endpoint);
  if (place === undefined) return;
  const groups = Array.from({ length: arrived.groups }, (_, group) => group);
  const request = endAtPlace(draft, arrived, place, groups);
  if (request.isSummarised) return;
  draft.put(request, { isSummarised: true });
  draft.freeLatch(request);
  draft.emit({ kind: "summarised", requestId, endpoint, durationMs });
}

/** Ends groups that the node no longer wants, and cancels them wherever they may be. */
export function cancel<P>(draft: Draft<P>, { requestId, groups }: EventOf<P, "cancel">): void {
  const request = draft.next.requests.get(requestId);
  if (request === undefined) return;
  const named = unendedOf(request).filter((group) => groups?.includes(group) ?? true);
  if (named.length === 0) return;
  cancelAt(draft, requestId, draft.placesOf(request), named);
  endAll(draft, request, named, "cancelled");
}

/** Calls `CancelSession` for these groups at each place. */
export function cancelAt<P>(
  draft: Draft<P>,
  requestId: string,
  places: readonly Place[],
  groups: readonly number[],
): void {
  for (const { endpoint } of places) draft.emit({ kind: "cancel", endpoint, requestId, groups });
}

/** Ends groups by the adapter's own decision. */
export function endAll<P>(
  draft: Draft<P>,
  request: Request,
  groups: readonly number[],
  kind: "cancelled" | "lost",
): void {
  draft.put(request, { ended: new Set([...request.ended, ...groups]) });
  const { requestId, slot, holdUntilMs } = request;
  for (const groupIndex of groups) {
    const ref: GroupRef = { requestId, groupIndex, slot, endpoint: null };
    if (kind === "lost") draft.emit({ kind, ref });
    keepResult(draft, { ...NEVER, holdUntilMs, result: { kind, ref } });
  }
}
