/**
 * The adapter's rules as a synchronous state machine, `(state, event, nowMs) → { state, effects }`:
 * no clock, timer or I/O. `AdapterShell` feeds it and carries out its effects. The comments cite the
 * numbered rules of `PROTOCOL.md`.
 */
import { assertNever } from "../errors.js";
import type { AdapterEffect, AdapterEvent, AdapterSkipReason } from "./events.js";
import { endOutcome, endSessions, endVerified, expireProofs, takeReady } from "./end-groups.js";
import type { AdapterState, OpenSession, Step } from "./state.js";
import {
  EARLY_EVENTS_MAX,
  inOrder,
  isPast,
  isUp,
  LOST_GRACE_MS,
  REST_MS,
  sessionKey,
  targetOf,
  withChanges,
  withEntry,
  withoutEntries,
  withoutKey,
} from "./state.js";

type EventOf<P, K extends AdapterEvent<P>["kind"]> = Extract<AdapterEvent<P>, { kind: K }>;

/** Applies one event. The caller carries out the effects in order. */
export function transitionAdapter<P>(
  state: AdapterState<P>,
  event: AdapterEvent<P>,
  nowMs: number,
): Step<P> {
  return inOrder(state, [
    (current) => apply(withSlot(current, event), event, nowMs),
    (current) => ({ state: retarget(current, nowMs), effects: [] }),
    (current) => expire(current, nowMs),
    // Last: what the fence has just freed is free, and what it has erased is not delivered.
    (current) => answer(current, event, nowMs),
  ]);
}

function withSlot<P>(state: AdapterState<P>, event: AdapterEvent<P>): AdapterState<P> {
  const says = event.kind === "ask" || event.kind === "take";
  return says && event.slot !== state.slot ? { ...state, slot: event.slot } : state;
}

function apply<P>(state: AdapterState<P>, event: AdapterEvent<P>, nowMs: number): Step<P> {
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

/** What the node asked for: the answer to an `ask`, the results of a `take`. */
function answer<P>(state: AdapterState<P>, event: AdapterEvent<P>, nowMs: number): Step<P> {
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

function accept<P>(
  state: AdapterState<P>,
  { requestId, endpoint, sessionId, fenceMs }: EventOf<P, "accepted">,
  nowMs: number,
): Step<P> {
  const submission = state.pending.get(requestId);
  if (submission === undefined) return { state, effects: [] };
  const key = sessionKey(endpoint, sessionId);
  const namesake = state.sessions.get(key);
  const session: OpenSession = {
    ...submission,
    // The adapter counts from before the request left, the server from its receipt.
    fenceAtMs: Math.min(submission.fenceAtMs, submission.sentAtMs + fenceMs),
    endpoint,
    sessionId,
    // Accepted while the stream is away: it belongs to the run that the stream finds (rule 18).
    instance: isUp(state, endpoint) ? (state.links.get(endpoint)?.instance ?? null) : null,
    ended: new Set(),
    isSummarised: false,
    fencedAtMs: null,
  };
  const answered = { ...state, pending: withoutKey(state.pending, requestId), early: [] };
  return inOrder<P>(answered, [
    // A server that gives an id twice must not make the groups of the first session vanish.
    (current) => lose(current, namesake ? [namesake] : []),
    (current) => {
      const sessions = withEntry(current.sessions, key, session);
      return { state: { ...current, sessions }, effects: [] };
    },
    // Events may overtake the answer to the submission (rule 12).
    ...state.early.map((event) => (current: AdapterState<P>) => receive(current, event, nowMs)),
  ]);
}

function refuse<P>(
  state: AdapterState<P>,
  { requestId, endpoint, reason }: EventOf<P, "refused">,
  nowMs: number,
): Step<P> {
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

/** The endpoint rests; the same state when it is not one of the node's. */
function rest<P>(state: AdapterState<P>, endpoint: string | null, nowMs: number): AdapterState<P> {
  const link = endpoint === null ? undefined : state.links.get(endpoint);
  if (endpoint === null || link === undefined) return state;
  const resting = { ...link, restsUntilMs: nowMs + REST_MS };
  return { ...state, links: withEntry(state.links, endpoint, resting) };
}

function open<P>(state: AdapterState<P>, { endpoint, instance }: EventOf<P, "opened">): Step<P> {
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

/** Loses the endpoint's sessions of other runs of the server than the one that its stream found. */
function loseOtherRuns<P>(state: AdapterState<P>, endpoint: string): Step<P> {
  const instance = state.links.get(endpoint)?.instance ?? null;
  const sessions = withChanges(state.sessions, (session) =>
    session.endpoint === endpoint && session.instance === null && instance !== null
      ? { ...session, instance }
      : session,
  );
  const others = [...sessions.values()].filter(
    (session) => session.endpoint === endpoint && session.instance !== instance,
  );
  return lose({ ...state, sessions }, others);
}

function receive<P>(
  state: AdapterState<P>,
  event: EventOf<P, "outcome"> | EventOf<P, "summary">,
  nowMs: number,
): Step<P> {
  const key = sessionKey(event.endpoint, event.sessionId);
  const session = state.sessions.get(key);
  if (session === undefined) {
    // With no answer awaited it is of an earlier run, a submission given up, or an ended session.
    if (state.pending.size === 0) return { state, effects: [] };
    const early = [...state.early, event].slice(-EARLY_EVENTS_MAX);
    return { state: { ...state, early }, effects: [] };
  }
  const step =
    event.kind === "outcome"
      ? endOutcome(state, session, event, nowMs)
      : summarise(state, session, event);
  const after = step.state.sessions.get(key);
  if (after === undefined || !after.isSummarised || after.ended.size < after.groups) return step;
  return { ...step, state: { ...step.state, sessions: withoutKey(step.state.sessions, key) } };
}

function summarise<P>(
  state: AdapterState<P>,
  session: OpenSession,
  { endpoint, sessionId, durationMs }: EventOf<P, "summary">,
): Step<P> {
  if (session.isSummarised) return { state, effects: [] };
  const key = sessionKey(endpoint, sessionId);
  const sessions = withEntry(state.sessions, key, { ...session, isSummarised: true });
  const effects: AdapterEffect<P>[] = [{ kind: "summarised", endpoint, sessionId, durationMs }];
  if (session.ended.size < session.groups) effects.push(reconcile(session));
  return { state: freeLatch({ ...state, sessions }, session.requestId), effects };
}

function gap<P>(state: AdapterState<P>, event: EventOf<P, "gap">): Step<P> {
  const { endpoint, cause, sessionIds } = event;
  const freed = endpoint === state.target ? freeAnsweredLatches(state) : state;
  return inOrder<P>(freed, [
    (current) =>
      cause === "restarted" ? loseOtherRuns(current, endpoint) : { state: current, effects: [] },
    (current) => {
      const isNamed = ({ sessionId }: OpenSession) =>
        sessionIds.length === 0 || sessionIds.includes(sessionId);
      const asked = [...current.sessions.values()].filter(
        (session) => session.endpoint === endpoint && isNamed(session),
      );
      return { state: current, effects: asked.map(reconcile) };
    },
  ]);
}

function close<P>(state: AdapterState<P>): Step<P> {
  const closed = { ...state, isClosing: true, pending: new Map(), early: [], latches: new Map() };
  const refs = [...state.checking.values()].map(({ ref }) => ref);
  return inOrder<P>(closed, [
    (current) => lose(current, [...current.sessions.values()]),
    ...refs.map((ref) => (current: AdapterState<P>) => endVerified(current, ref, false)),
  ]);
}

function reconcile({ endpoint, sessionId }: OpenSession): AdapterEffect<never> {
  return { kind: "reconcile", endpoint, sessionId };
}

/** Sessions at the old endpoint live on, but the latches that they hold are of no use any more. */
function retarget<P>(state: AdapterState<P>, nowMs: number): AdapterState<P> {
  const target = targetOf(state, nowMs);
  if (target === null || target === state.target) return state;
  return freeAnsweredLatches({ ...state, target });
}

/** What time alone does: it frees latches, loses groups and erases proofs. */
function expire<P>(state: AdapterState<P>, nowMs: number): Step<P> {
  const latches = withoutEntries(state.latches, (fence) => isPast(state, fence, nowMs));
  const sessions = withChanges(state.sessions, (session) =>
    session.fencedAtMs === null && isPast(state, session, nowMs)
      ? { ...session, fencedAtMs: Math.min(nowMs, session.fenceAtMs) }
      : session,
  );
  // A service that is there ends the session itself: wait for its word (rule 16).
  const isOver = ({ endpoint, fencedAtMs }: OpenSession) =>
    fencedAtMs !== null && (!isUp(state, endpoint) || nowMs >= fencedAtMs + LOST_GRACE_MS);
  const isSame = latches === state.latches && sessions === state.sessions;
  return inOrder<P>(isSame ? state : { ...state, latches, sessions }, [
    (current) => lose(current, [...current.sessions.values()].filter(isOver)),
    (current) => expireProofs(current, nowMs),
  ]);
}

/** An unanswered submission keeps its latch: its next try goes where submissions go. */
function freeAnsweredLatches<P>(state: AdapterState<P>): AdapterState<P> {
  const isAnswered = ({ requestId }: { requestId: string }) => !state.pending.has(requestId);
  return { ...state, latches: withoutEntries(state.latches, isAnswered) };
}

function freeLatch<P>(state: AdapterState<P>, requestId: string): AdapterState<P> {
  const latches = withoutEntries(state.latches, (holder) => holder.requestId === requestId);
  return { ...state, latches };
}

/** Forgets the sessions, ends as lost what has not ended of them, and frees their latches. */
function lose<P>(state: AdapterState<P>, sessions: readonly OpenSession[]): Step<P> {
  return endSessions(
    sessions.reduce((current, { requestId }) => freeLatch(current, requestId), state),
    sessions,
  );
}
