/**
 * The next state while one event is applied. A rule reads and changes the draft, and adds effects.
 * The state that the event found stays as it is: tables are copied before their first change.
 */
import type { AdapterEffect, Fence } from "./events.js";
import type { Link, MachineState, MachineStep, Place, Request } from "./state.js";
import { latchKey } from "./state.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class Draft<P> {
  /** The next state. Rules replace its fields and never change what a field holds. */
  readonly next: Mutable<MachineState<P>>;
  readonly nowMs: number;
  private readonly effects: AdapterEffect<P>[] = [];
  private requests: Map<string, Request> | null = null;

  constructor(state: MachineState<P>, nowMs: number) {
    this.next = { ...state };
    this.nowMs = nowMs;
  }

  emit(effect: AdapterEffect<P>): void {
    this.effects.push(effect);
  }

  finish(): MachineStep<P> {
    return { state: this.next, effects: this.effects };
  }

  /** Returns the requests in the order of their submission. */
  all(): readonly Request[] {
    return [...this.next.requests.values()];
  }

  /** Puts the request with these changes into the next state, and returns it. */
  put(request: Request, changes: Partial<Request> = {}): Request {
    const changed = { ...request, ...changes };
    this.ownRequests().set(request.requestId, changed);
    return changed;
  }

  remove({ requestId }: Request): void {
    this.ownRequests().delete(requestId);
  }

  link(endpoint: string): Link | undefined {
    return this.next.links.get(endpoint);
  }

  kindOf(endpoint: string): Link["kind"] | undefined {
    return this.link(endpoint)?.kind;
  }

  setLink(endpoint: string, link: Link): void {
    this.next.links = new Map(this.next.links).set(endpoint, link);
  }

  /** Returns the request's places in the node's order of endpoints. */
  placesOf(request: Request): readonly Place[] {
    if (request.places.length < 2) return request.places;
    const order = [...this.next.links.keys()];
    const rank = (place: Place) => order.indexOf(place.endpoint);
    return [...request.places].sort((a, b) => rank(a) - rank(b));
  }

  /** Returns true from the instant of the fence on. */
  isPast({ fenceAtMs, fenceSlot }: Fence): boolean {
    if (this.nowMs >= fenceAtMs) return true;
    return fenceSlot !== null && this.next.slot !== null && this.next.slot >= fenceSlot;
  }

  /** Returns true when the request's fence has passed; a fence that has passed stays passed. */
  isFenced(request: Request): boolean {
    return request.fencedAtMs !== null || this.isPast(request);
  }

  /** Frees the latch that the request holds, if any. */
  freeLatch(request: Request): void {
    const latch = latchKey(request);
    if (this.next.latches.get(latch) !== request.requestId) return;
    const latches = new Map(this.next.latches);
    latches.delete(latch);
    this.next.latches = latches;
  }

  private ownRequests(): Map<string, Request> {
    this.requests ??= new Map(this.next.requests);
    this.next.requests = this.requests;
    return this.requests;
  }
}

/** Returns the place at this endpoint. */
export function placeAt(request: Request, endpoint: string): Place | undefined {
  return request.places.find((place) => place.endpoint === endpoint);
}

/** Returns the groups that have not ended for the node, ascending. */
export function unendedOf({ groups, ended }: Request): number[] {
  const unended: number[] = [];
  for (let group = 0; group < groups; group++) if (!ended.has(group)) unended.push(group);
  return unended;
}
