/**
 * The adapter's rules as a synchronous state machine, `(state, event, nowMs) → { state, effects }`:
 * no clock, timer or I/O. `AdapterShell` passes events in and carries out the effects. A "rule 3"
 * in a comment is that rule of `PROTOCOL.md`.
 */
import { assertNever } from "../errors.js";
import { endVerified, expireProofs, takeReady } from "./end-groups.js";
import type { AdapterEffect, AdapterEvent, AdapterSkipReason, EventOf } from "./events.js";
import {
  accept,
  freeAnsweredLatches,
  freeLatch,
  gap,
  lose,
  loseOtherRuns,
  receive,
} from "./open-sessions.js";
import { withChanges, withEntry, withoutEntries, withoutKey } from "./map-copies.js";
import type { AdapterState, OpenSession, AdapterStep } from "./state.js";
import { inOrder, isPast, isUp, LOST_GRACE_MS, REST_MS, sessionKey, targetOf } from "./state.js";

/** Applies one event. Returns the next state, and the effects to carry out in order. */
export function transitionAdapter<P>(
  state: AdapterState<P>,
  event: AdapterEvent<P>,
  nowMs: number,
): AdapterStep<P> {
  return inOrder(state, [
    (current) => apply(withSlot(current, event), event, nowMs),
    (current) => ({ state: retarget(current, nowMs), effects: [] }),
    (current) => expire(current, nowMs),
    // Last: a latch that the time has freed counts as free, and an erased proof is not delivered.
    (current) => answer(current, event, nowMs),
  ]);
}

function withSlot<P>(state: AdapterState<P>, event: AdapterEvent<P>): AdapterState<P> {
  const says = event.kind === "ask" || event.kind === "take";
  return says && event.slot !== state.slot ? { ...state, slot: event.slot } : state;
}

function apply<P>(state: AdapterState<P>, event: AdapterEvent<P>, nowMs: number): AdapterStep<P> {
  switch (event.kind) {
    case "submitted":
      return { state: submit(state, event, nowMs), effects: [] };
    case "accepted":
      return accept(state, event, nowMs);
    case "refused":
      return refuse(state, event, nowMs);
    case "opened":
      return open(state, event);
    case "disconnected":
      return { state: disconnect(state, event), effects: [] };
    case "outcome":
    case "summary":
      return receive(state, event, nowMs);
    case "gap":
      return gap(state, event);
    case "reconciled": {
      const session = state.sessions.get(sessionKey(event.endpoint, event.sessionId));
      if (session === undefined || !event.isEnded) return { state, effects: [] };
      return lose(state, [session]);
    }
    case "verified":
      return endVerified(state, event.ref, event.isValid);
    case "closing":
      return { state: { ...state, isClosing: true }, effects: [] };
    case "closed":
      return close(state);
    case "ask":
    case "take":
    case "tick":
      return { state, effects: [] };
    default:
      return assertNever(event);
  }
}

/** Answers the node: `go` or `skip` for an `ask`, the ready results for a `take`. */
function answer<P>(state: AdapterState<P>, event: AdapterEvent<P>, nowMs: number): AdapterStep<P> {
  if (event.kind === "take") return takeReady(state);
  return { state, effects: event.kind === "ask" ? [goOrSkip(state, event, nowMs)] : [] };
}

function goOrSkip<P>(
  state: AdapterState<P>,
  { gates, priority, mayReplace }: EventOf<P, "ask">,
  nowMs: number,
): AdapterEffect<P> {
  const skip = (reason: AdapterSkipReason) => ({ kind: "skip", reason }) as const;
  if (!gates.isAggregator) return skip("not_aggregator");
  if (gates.isSynced === false) return skip("not_synced");
  if (!gates.hasState) return skip("missing_state");
  if (!mayReplace && state.latches.has(priority)) return skip("in_flight");
  if (state.isClosing) return skip("draining");
  const endpoint = targetOf(state, nowMs);
  return endpoint === null ? skip("unreachable") : { kind: "go", endpoint };
}

function submit<P>(
  state: AdapterState<P>,
  { submission }: EventOf<P, "submitted">,
  nowMs: number,
): AdapterState<P> {
  const { requestId, priority } = submission;
  const pending = withEntry(state.pending, requestId, { ...submission, sentAtMs: nowMs });
  return { ...state, pending, latches: withEntry(state.latches, priority, submission) };
}

function refuse<P>(
  state: AdapterState<P>,
  { requestId, endpoint, reason }: EventOf<P, "refused">,
  nowMs: number,
): AdapterStep<P> {
  const rested =
    reason === "draining" || reason === "no_prover" ? rest(state, endpoint, nowMs) : state;
  if (rested !== state && state.pending.has(requestId)) {
    const next = targetOf(rested, nowMs);
    const isRested = next !== null && nowMs >= (rested.links.get(next)?.restsUntilMs ?? 0);
    if (isRested) return { state: rested, effects: [{ kind: "go", endpoint: next }] };
  }
  const pending = withoutKey(rested.pending, requestId);
  const early = pending.size === 0 ? [] : rested.early;
  const next = freeLatch({ ...rested, pending, early }, requestId);
  return { state: next, effects: [{ kind: "skip", reason }] };
}

/**
 * Lets the endpoint rest: other endpoints go first for `REST_MS`. Returns the same state when the
 * endpoint is null or unknown.
 */
function rest<P>(state: AdapterState<P>, endpoint: string | null, nowMs: number): AdapterState<P> {
  const link = endpoint === null ? undefined : state.links.get(endpoint);
  if (endpoint === null || link === undefined) return state;
  const resting = { ...link, restsUntilMs: nowMs + REST_MS };
  return { ...state, links: withEntry(state.links, endpoint, resting) };
}

function open<P>(
  state: AdapterState<P>,
  { endpoint, instance }: EventOf<P, "opened">,
): AdapterStep<P> {
  const link = state.links.get(endpoint);
  if (link === undefined) return { state, effects: [] };
  const isNewRun = link.instance !== null && link.instance !== instance;
  const up = { kind: "up", instance, restsUntilMs: 0 } as const;
  const opened = { ...state, links: withEntry(state.links, endpoint, up) };
  const isTarget = endpoint === state.target;
  return loseOtherRuns(isNewRun && isTarget ? freeAnsweredLatches(opened) : opened, endpoint);
}

function disconnect<P>(
  state: AdapterState<P>,
  { endpoint }: EventOf<P, "disconnected">,
): AdapterState<P> {
  const link = state.links.get(endpoint);
  if (link === undefined) return state;
  const kind = link.kind === "up" ? "connecting" : "down";
  return { ...state, links: withEntry(state.links, endpoint, { ...link, kind }) };
}

function close<P>(state: AdapterState<P>): AdapterStep<P> {
  const closed = { ...state, isClosing: true, pending: new Map(), early: [], latches: new Map() };
  const refs = [...state.checking.values()].map(({ ref }) => ref);
  return inOrder<P>(closed, [
    (current) => lose(current, [...current.sessions.values()]),
    ...refs.map((ref) => (current: AdapterState<P>) => endVerified(current, ref, false)),
  ]);
}

/**
 * Follows a change of the endpoint to which submissions go. Sessions at the old endpoint live on,
 * but must not block submissions to the new one.
 */
function retarget<P>(state: AdapterState<P>, nowMs: number): AdapterState<P> {
  const target = targetOf(state, nowMs);
  if (target === null || target === state.target) return state;
  return freeAnsweredLatches({ ...state, target });
}

/**
 * Applies the passing of time: frees latches past their fence, ends groups as lost (at the fence, or
 * `LOST_GRACE_MS` later while the endpoint is up), and erases proofs past their fence.
 */
function expire<P>(state: AdapterState<P>, nowMs: number): AdapterStep<P> {
  const latches = withoutEntries(state.latches, (fence) => isPast(state, fence, nowMs));
  const sessions = withChanges(state.sessions, (session) =>
    session.fencedAtMs === null && isPast(state, session, nowMs)
      ? { ...session, fencedAtMs: Math.min(nowMs, session.fenceAtMs) }
      : session,
  );
  // A service that can be reached ends the session itself: wait for its report (rule 16).
  const isOver = ({ endpoint, fencedAtMs }: OpenSession) =>
    fencedAtMs !== null && (!isUp(state, endpoint) || nowMs >= fencedAtMs + LOST_GRACE_MS);
  const isSame = latches === state.latches && sessions === state.sessions;
  return inOrder<P>(isSame ? state : { ...state, latches, sessions }, [
    (current) => lose(current, [...current.sessions.values()].filter(isOver)),
    (current) => expireProofs(current, nowMs),
  ]);
}
