/** Rules 5 and 6: the endpoints that may hold a request, and what follows when none or two do. */
import type { EventOf } from "./events.js";
import type { Draft } from "./draft.js";
import { placeAt, unendedOf } from "./draft.js";
import { isOpenTo } from "./endpoints.js";
import type { Place, Request } from "./state.js";
import { latchKey, RESUBMISSIONS_MAX } from "./state.js";

/**
 * Returns true while the place may still report: its endpoint is not down, and it is held, or its
 * try is open.
 */
export function isLive<P>(draft: Draft<P>, request: Request, place: Place): boolean {
  if (!place.isHeld && request.openTry?.endpoint !== place.endpoint) return false;
  return draft.kindOf(place.endpoint) !== "down";
}

/** Returns true if an unended group has no live place that could end it. */
export function isHomeless<P>(draft: Draft<P>, request: Request): boolean {
  if (request.isSkipped) return false;
  const live = request.places.filter((place) => isLive(draft, request, place));
  for (let group = 0; group < request.groups; group++)
    if (!request.ended.has(group) && live.every(({ ended }) => ended.has(group))) return true;
  return false;
}

/** Returns true if nothing but the number of resubmissions can keep a request from being resent. */
export function mayResend<P>(draft: Draft<P>, request: Request): boolean {
  const { isClosing, latest } = draft.next;
  if (isClosing || !request.hasBytes || draft.isFenced(request)) return false;
  return latest.get(latchKey(request)) === request.requestId;
}

/** Returns true if rule 5 may send the request some time: an endpoint is left for it. */
export function willResend<P>(draft: Draft<P>, request: Request): boolean {
  if (!mayResend(draft, request) || request.resubmissions >= RESUBMISSIONS_MAX) return false;
  return [...draft.next.links.keys()].some((endpoint) => isOpenTo(request, endpoint));
}

/**
 * Notes that the endpoint holds the request: it has accepted or knows it, or has sent an event of
 * it. Cancels what needs no second proof, and returns the request.
 */
export function hold<P>(
  draft: Draft<P>,
  request: Request,
  endpoint: string,
  serviceId: string | null,
): Request {
  const before = placeAt(request, endpoint);
  if (before?.isHeld === true) return dropLater(draft, draft.put(request));
  const openTry = request.openTry?.endpoint === endpoint ? null : request.openTry;
  const isCrossing = before?.isCrossing === true;
  const held: Place = {
    endpoint,
    isHeld: true,
    serviceId,
    ended: new Set(),
    isCrossing,
    isUnnamed: false,
  };
  const places = before
    ? request.places.map((place) => (place === before ? held : place))
    : [...request.places, held];
  const next = dropLater(draft, draft.put(request, { openTry, places, isAccepted: true }));
  const groups = [...next.ended].sort((a, b) => a - b);
  if (groups.length > 0 && placeAt(next, endpoint))
    draft.emit({ kind: "cancel", endpoint, requestId: request.requestId, groups });
  return next;
}

/**
 * Cancels and removes the places later than one that is held, at an endpoint that is up and reaches
 * the service that holds it, if that one can still end every unended group. After the deadline both go on.
 */
function dropLater<P>(draft: Draft<P>, request: Request): Request {
  if (request.places.length < 2 || draft.nowMs >= request.deadlineAtMs) return request;
  const unended = unendedOf(request);
  const first = request.places.findIndex(({ endpoint, isHeld, serviceId, ended }) => {
    const link = draft.link(endpoint);
    if (!isHeld || link?.kind !== "up" || link.serviceId !== serviceId) return false;
    return !unended.some((group) => ended.has(group));
  });
  if (first === -1) return request;
  const { requestId } = request;
  const later = request.places.slice(first + 1);
  for (const place of draft.placesOf({ ...request, places: later }))
    draft.emit({ kind: "cancel", endpoint: place.endpoint, requestId, groups: [] });
  return draft.put(request, { places: request.places.slice(0, first + 1) });
}

/** Removes the request's place at this endpoint. */
export function leave<P>(draft: Draft<P>, request: Request, endpoint: string): void {
  draft.put(request, {
    places: request.places.filter((place) => place.endpoint !== endpoint),
  });
}

/** Applies what the opened stream says of the requests that its request named. */
export function open<P>(draft: Draft<P>, event: EventOf<P, "opened">): void {
  const { endpoint, serviceId, state: service, awaited } = event;
  const link = draft.link(endpoint);
  if (link === undefined) return;
  draft.setLink(endpoint, { ...link, kind: "up", service, serviceId });
  const isKnown = new Map(awaited.map((each) => [each.requestId, each.isKnown]));
  for (const request of draft.all()) {
    const place = placeAt(request, endpoint);
    if (place === undefined) continue;
    const answer = isKnown.get(request.requestId);
    if (answer === true) hold(draft, request, endpoint, serviceId);
    else if (answer === false && !place.isCrossing) doubt(draft, request, place, serviceId);
    // Its summary may have come before the stream, which does not send it again.
    else if (place.isUnnamed) leave(draft, request, endpoint);
    else dropLater(draft, request);
  }
}

/** The service does not know the request. */
function doubt<P>(draft: Draft<P>, request: Request, place: Place, serviceId: string): void {
  const { endpoint } = place;
  if (!place.isHeld) {
    // An open try may still arrive there.
    if (request.openTry?.endpoint !== endpoint) leave(draft, request, endpoint);
  } else if (place.serviceId === serviceId) leave(draft, request, endpoint);
  else tellBalanced(draft, endpoint);
}

function tellBalanced<P>(draft: Draft<P>, endpoint: string): void {
  const link = draft.link(endpoint);
  if (link === undefined || link.isBalanced) return;
  draft.setLink(endpoint, { ...link, isBalanced: true });
  draft.emit({ kind: "balanced", endpoint });
}
