/** Rules 2 and 7: where a request goes, and what a result stream names. */
import type { EventOf, ServiceState } from "./events.js";
import type { Draft } from "./draft.js";
import { placeAt } from "./draft.js";
import type { Link, Request } from "./state.js";
import { AWAITED_MAX } from "./state.js";

/** Ranks of an endpoint: the highest one gets the request, the first in order among equals. */
export const RANK = { down: 0, connecting: 1, up: 2, ready: 3 } as const;

export interface Target {
  readonly endpoint: string;
  readonly rank: number;
}

/**
 * Returns the endpoint of rule 2, for any request when `request` is null. An endpoint that has
 * refused the request or holds it is skipped. Null: no endpoint can take it.
 */
export function targetOf<P>(draft: Draft<P>, request: Request | null): Target | null {
  let best: Target | null = null;
  for (const [endpoint, link] of draft.next.links) {
    const rank = rankOf(link);
    if (rank <= (best?.rank ?? RANK.down)) continue;
    if (request === null || isOpenTo(request, endpoint)) best = { endpoint, rank };
  }
  return best;
}

/** Returns true if the endpoint has neither refused the request nor holds it. */
export function isOpenTo(request: Request, endpoint: string): boolean {
  return !request.refusedBy.includes(endpoint) && placeAt(request, endpoint)?.isHeld !== true;
}

function rankOf({ kind, service }: Link): number {
  return kind === "up" && service === "ready" ? RANK.ready : RANK[kind];
}

export function disconnect<P>(
  draft: Draft<P>,
  { endpoint, isSilent }: EventOf<P, "disconnected">,
): void {
  const link = draft.link(endpoint);
  if (link === undefined) return;
  const kind = link.kind === "up" && !isSilent ? "connecting" : "down";
  draft.setLink(endpoint, { ...link, kind });
}

/** Notes what the service has said of itself. It counts only while its endpoint is up. */
export function noteService<P>(draft: Draft<P>, endpoint: string, service: ServiceState): void {
  const link = draft.link(endpoint);
  if (link?.kind === "up") draft.setLink(endpoint, { ...link, service });
}

/** Answers `opening` with what the stream's request names. */
export function answerOpening<P>(draft: Draft<P>, { endpoint }: EventOf<P, "opening">): void {
  if (draft.link(endpoint) === undefined) return;
  const requests = draft.all().flatMap((request) => {
    const place = placeAt(request, endpoint);
    if (place === undefined) return [];
    noteOpening(draft, request, endpoint);
    if (request.ended.size === request.groups) return [];
    const received = new Set([...request.ended, ...place.ended]);
    const receivedGroups = [...received].sort((a, b) => a - b);
    return [{ requestId: request.requestId, receivedGroups }];
  });
  draft.emit({ kind: "await", endpoint, requests: requests.slice(-AWAITED_MAX) });
}

/**
 * Notes of what the service's answer to the stream's request says nothing: a try that is open now, which
 * may not have arrived yet, and a request whose groups have all ended, which is not named.
 */
function noteOpening<P>(draft: Draft<P>, request: Request, endpoint: string): void {
  const isCrossing = request.openTry?.endpoint === endpoint;
  const hasEnded = request.ended.size === request.groups;
  const places = request.places.map((place) =>
    place.endpoint === endpoint
      ? { ...place, isCrossing, isUnnamed: place.isHeld && hasEnded }
      : place,
  );
  draft.put(request, { places });
}
