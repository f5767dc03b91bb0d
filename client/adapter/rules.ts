/**
 * The adapter's rules as a synchronous state machine, `(state, event, nowMs) → effects`: no clock,
 * timer or I/O. The state is changed in place and belongs to one shell, `TickAggregator`. The
 * numbered rules that the comments cite are those of `PROTOCOL.md`.
 */
import type { AdapterEffect, AdapterEvent, AdapterSkipReason } from "./events.js";
import { endLost, endOutcome, endVerified, expireProofs, takeReady } from "./end-groups.js";
import type { AdapterState, Session } from "./state.js";
import {
  EARLY_EVENTS_MAX,
  isPast,
  isUp,
  LOST_GRACE_MS,
  REST_MS,
  sessionKey,
  targetOf,
} from "./state.js";

type EventOf<P, T extends AdapterEvent<P>["type"]> = Extract<AdapterEvent<P>, { type: T }>;

/** Applies one event. The effects are to be carried out in order. */
export function transition<P>(
  state: AdapterState<P>,
  event: AdapterEvent<P>,
  nowMs: number,
): AdapterEffect<P>[] {
  const effects: AdapterEffect<P>[] = [];
  if (event.type === "ask" || event.type === "take") state.slot = event.slot;
  apply(state, event, nowMs, effects);
  retarget(state, nowMs);
  expire(state, nowMs, effects);
  // Last, so that what the fence has just freed is free, and what it has taken is not handed out.
  if (event.type === "ask") effects.push(answer(state, event, nowMs));
  if (event.type === "take") effects.push(...takeReady(state));
  return effects;
}

function apply<P>(
  state: AdapterState<P>,
  event: AdapterEvent<P>,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  switch (event.type) {
    case "submitted":
      state.pending.set(event.submission.requestId, { ...event.submission, sentAtMs: nowMs });
      state.latches.set(event.submission.priority, event.submission);
      return;
    case "accepted":
      return accept(state, event, nowMs, effects);
    case "refused":
      return refuse(state, event, nowMs, effects);
    case "opened":
      return open(state, event, effects);
    case "disconnected": {
      const link = state.links.get(event.endpoint);
      if (link !== undefined) link.kind = link.kind === "up" ? "connecting" : "down";
      return;
    }
    case "outcome":
    case "summary":
      return receive(state, event, nowMs, effects);
    case "gap":
      return gap(state, event, effects);
    case "reconciled": {
      const session = state.sessions.get(sessionKey(event.endpoint, event.sessionId));
      if (session !== undefined && event.isEnded) lose(state, session, effects);
      return;
    }
    case "verified":
      effects.push(...endVerified(state, event.ref, event.isValid));
      return;
    case "closing":
      state.isClosing = true;
      return;
    case "closed":
      return close(state, effects);
    case "ask":
    case "take":
    case "tick":
      return;
  }
}

function answer<P>(
  state: AdapterState<P>,
  { gates, priority, mayReplace }: EventOf<P, "ask">,
  nowMs: number,
): AdapterEffect<P> {
  const skip = (reason: AdapterSkipReason) => ({ type: "skip", reason }) as const;
  if (!gates.isAggregator) return skip("not_aggregator");
  if (gates.isSynced === false) return skip("not_synced");
  if (!gates.hasState) return skip("missing_state");
  if (!mayReplace && state.latches.has(priority)) return skip("in_flight");
  if (state.isClosing) return skip("draining");
  const endpoint = targetOf(state, nowMs);
  return endpoint === null ? skip("unreachable") : { type: "go", endpoint };
}

function accept<P>(
  state: AdapterState<P>,
  { requestId, endpoint, sessionId, fenceMs }: EventOf<P, "accepted">,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  const submission = state.pending.get(requestId);
  if (submission === undefined) return;
  state.pending.delete(requestId);
  const instance = state.links.get(endpoint)?.instance ?? null;
  // A server that gives an id twice must not make the first one's groups vanish.
  const namesake = state.sessions.get(sessionKey(endpoint, sessionId));
  if (namesake !== undefined) lose(state, namesake, effects);
  state.sessions.set(sessionKey(endpoint, sessionId), {
    ...submission,
    // Ours counts from before the request left, the server's from its receipt: the earlier holds.
    fenceAtMs: Math.min(submission.fenceAtMs, submission.sentAtMs + fenceMs),
    endpoint,
    sessionId,
    // Accepted while the stream is away: of the server that the stream will find (rule 18).
    instance: isUp(state, endpoint) ? instance : null,
    ended: new Set(),
    isSummarised: false,
    fencedAtMs: null,
  });
  // Events may overtake the answer to the submission (rule 12).
  const early = state.early;
  state.early = [];
  for (const event of early) receive(state, event, nowMs, effects);
}

function refuse<P>(
  state: AdapterState<P>,
  { requestId, endpoint, reason }: EventOf<P, "refused">,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  const link = endpoint === null ? undefined : state.links.get(endpoint);
  if (link !== undefined && (reason === "draining" || reason === "no_prover")) {
    link.restsUntilMs = nowMs + REST_MS;
    const next = targetOf(state, nowMs);
    const isRested = next !== null && nowMs >= (state.links.get(next)?.restsUntilMs ?? 0);
    if (isRested && state.pending.has(requestId)) {
      effects.push({ type: "go", endpoint: next });
      return;
    }
  }
  state.pending.delete(requestId);
  freeLatch(state, requestId);
  if (state.pending.size === 0) state.early = [];
  effects.push({ type: "skip", reason });
}

function open<P>(
  state: AdapterState<P>,
  { endpoint, instance }: EventOf<P, "opened">,
  effects: AdapterEffect<P>[],
): void {
  const link = state.links.get(endpoint);
  if (link === undefined) return;
  const isNewRun = link.instance !== null && link.instance !== instance;
  state.links.set(endpoint, { kind: "up", instance, restsUntilMs: 0 });
  if (isNewRun && endpoint === state.target) freeAnsweredLatches(state);
  loseOtherInstances(state, endpoint, effects);
}

function loseOtherInstances<P>(
  state: AdapterState<P>,
  endpoint: string,
  effects: AdapterEffect<P>[],
): void {
  const instance = state.links.get(endpoint)?.instance ?? null;
  for (const session of state.sessions.values()) {
    if (session.endpoint !== endpoint) continue;
    session.instance ??= instance;
    if (session.instance !== instance) lose(state, session, effects);
  }
}

function receive<P>(
  state: AdapterState<P>,
  event: EventOf<P, "outcome"> | EventOf<P, "summary">,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  const session = state.sessions.get(sessionKey(event.endpoint, event.sessionId));
  if (session === undefined) {
    // Else of an earlier run, a submission that was given up, or a session that has ended.
    if (state.pending.size === 0) return;
    state.early.push(event);
    if (state.early.length > EARLY_EVENTS_MAX) state.early.shift();
    return;
  }
  if (event.type === "outcome") {
    effects.push(...endOutcome(state, session, event, nowMs));
  } else if (!session.isSummarised) {
    session.isSummarised = true;
    const { endpoint, sessionId, durationMs } = event;
    effects.push({ type: "summarised", endpoint, sessionId, durationMs });
    freeLatch(state, session.requestId);
    if (session.ended.size < session.groups) effects.push(reconcile(session));
  }
  if (session.isSummarised && session.ended.size >= session.groups)
    state.sessions.delete(sessionKey(session.endpoint, session.sessionId));
}

function gap<P>(
  state: AdapterState<P>,
  event: EventOf<P, "gap">,
  effects: AdapterEffect<P>[],
): void {
  if (event.endpoint === state.target) freeAnsweredLatches(state);
  if (event.cause === "restarted") loseOtherInstances(state, event.endpoint, effects);
  for (const session of state.sessions.values()) {
    const isNamed = event.sessionIds.length === 0 || event.sessionIds.includes(session.sessionId);
    if (session.endpoint === event.endpoint && isNamed) effects.push(reconcile(session));
  }
}

function close<P>(state: AdapterState<P>, effects: AdapterEffect<P>[]): void {
  state.isClosing = true;
  state.pending.clear();
  state.early = [];
  state.latches.clear();
  for (const session of state.sessions.values()) lose(state, session, effects);
  for (const { ref } of state.checking.values()) effects.push(...endVerified(state, ref, false));
}

function reconcile(session: Session): AdapterEffect<never> {
  return { type: "reconcile", endpoint: session.endpoint, sessionId: session.sessionId };
}

/** Sessions at the endpoint left live on; the latches that they hold are of no use any more. */
function retarget(state: AdapterState<unknown>, nowMs: number): void {
  const next = targetOf(state, nowMs);
  if (next === null || next === state.target) return;
  state.target = next;
  freeAnsweredLatches(state);
}

/** What time alone does: latches freed, groups lost, proofs erased. */
function expire<P>(state: AdapterState<P>, nowMs: number, effects: AdapterEffect<P>[]): void {
  for (const [priority, fence] of state.latches)
    if (isPast(state, fence, nowMs)) state.latches.delete(priority);
  for (const session of state.sessions.values()) {
    if (!isPast(state, session, nowMs)) continue;
    session.fencedAtMs ??= Math.min(nowMs, session.fenceAtMs);
    // The service ends the session itself if it is there: let it say so (rule 16).
    const isGraceOver = nowMs >= session.fencedAtMs + LOST_GRACE_MS;
    if (isUp(state, session.endpoint) && !isGraceOver) continue;
    lose(state, session, effects);
  }
  effects.push(...expireProofs(state, nowMs));
}

/** A submission that is not answered yet goes wherever its next try goes, and so does its latch. */
function freeAnsweredLatches(state: AdapterState<unknown>): void {
  for (const [priority, { requestId }] of state.latches)
    if (!state.pending.has(requestId)) state.latches.delete(priority);
}

function freeLatch(state: AdapterState<unknown>, requestId: string): void {
  for (const [priority, holder] of state.latches)
    if (holder.requestId === requestId) state.latches.delete(priority);
}

/** Ends as lost whatever of the session has not ended, and forgets the session. */
function lose<P>(state: AdapterState<P>, session: Session, effects: AdapterEffect<P>[]): void {
  for (let groupIndex = 0; groupIndex < session.groups; groupIndex++)
    if (!session.ended.has(groupIndex)) effects.push(...endLost(state, session, groupIndex));
  state.sessions.delete(sessionKey(session.endpoint, session.sessionId));
  freeLatch(state, session.requestId);
}
