/**
 * The adapter's rules as a synchronous state machine, `(state, event, nowMs) → effects`: no clock,
 * timer or I/O. The state is changed in place and belongs to one shell, `TickAggregator`. The
 * numbered rules that the comments cite are those of `PROTOCOL.md`.
 */
import type { AdapterEffect, AdapterEvent, AdapterSkipReason, GroupRef } from "./adapter-events.js";
import { endGroup, endOutcome, endVerified, expireReady, takeReady } from "./adapter-results.js";
import type { AdapterState, Session } from "./adapter-tables.js";
import { EARLY_EVENTS_MAX, isPast, LOST_GRACE_MS, sessionKey } from "./adapter-tables.js";

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
  expire(state, nowMs, effects);
  // Last, so that what the fence has just taken is not handed out.
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
    case "ask": {
      freeFencedLatches(state, nowMs);
      const reason = skipReason(state, event);
      effects.push(reason === null ? { type: "go" } : { type: "skip", reason });
      return;
    }
    case "submitted":
      state.pending.set(event.submission.requestId, { ...event.submission, sentAtMs: nowMs });
      state.latches.set(event.submission.priority, event.submission);
      return;
    case "accepted":
      return accept(state, event, nowMs, effects);
    case "refused":
      state.pending.delete(event.requestId);
      freeLatch(state, event.requestId);
      if (state.pending.size === 0) state.early.length = 0;
      effects.push({ type: "skip", reason: event.reason });
      return;
    case "opened":
      return open(state, event, nowMs, effects);
    case "disconnected":
      if (state.link.endpoint === event.endpoint)
        state.link = { kind: "down", endpoint: event.endpoint };
      return;
    case "switched":
      state.link = { kind: "down", endpoint: event.endpoint };
      state.latches.clear();
      return;
    case "outcome":
    case "summary":
      return receive(state, event, nowMs, effects);
    case "gap":
      return gap(state, event, nowMs, effects);
    case "reconciled": {
      const session = state.sessions.get(sessionKey(event.endpoint, event.sessionId));
      if (session !== undefined && event.isEnded) lose(state, session, nowMs, effects);
      return;
    }
    case "verified":
      endVerified(state, event.ref, event.isValid);
      return;
    case "closing":
      state.isClosing = true;
      return;
    case "closed":
      state.isClosing = true;
      state.pending.clear();
      state.latches.clear();
      for (const session of state.sessions.values()) lose(state, session, nowMs, effects);
      for (const { result, isReady } of [...state.ready])
        if (!isReady) endVerified(state, result.ref, false);
      return;
    case "take":
    case "tick":
      return;
  }
}

function skipReason<P>(
  state: AdapterState<P>,
  { gates, priority, mayReplace }: EventOf<P, "ask">,
): AdapterSkipReason | null {
  if (!gates.isAggregator) return "not_aggregator";
  if (gates.isSynced === false) return "not_synced";
  if (!gates.hasState) return "missing_state";
  if (!mayReplace && state.latches.has(priority)) return "in_flight";
  if (state.isClosing) return "draining";
  return state.link.kind === "down" ? "unreachable" : null;
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
  const isUp = state.link.kind === "up" && state.link.endpoint === endpoint;
  state.sessions.set(sessionKey(endpoint, sessionId), {
    ...submission,
    // Ours counts from before the request left, the server's from its receipt: the earlier holds.
    fenceAtMs: Math.min(submission.fenceAtMs, submission.sentAtMs + fenceMs),
    endpoint,
    sessionId,
    // Accepted while the stream is away: of the server that the stream will find (rule 15).
    instance: isUp ? (state.instances.get(endpoint) ?? null) : null,
    ended: new Set(),
    isSummarised: false,
    fencedAtMs: null,
  });
  // Events may overtake the answer to the submission (rule 9).
  const early = state.early;
  state.early = [];
  for (const event of early) receive(state, event, nowMs, effects);
}

function open<P>(
  state: AdapterState<P>,
  { endpoint, instance }: EventOf<P, "opened">,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  const previous = state.instances.get(endpoint);
  state.instances.set(endpoint, instance);
  state.link = { kind: "up", endpoint };
  if (previous !== undefined && previous !== instance) state.latches.clear();
  loseOtherInstances(state, endpoint, nowMs, effects);
}

function loseOtherInstances<P>(
  state: AdapterState<P>,
  endpoint: string,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  const instance = state.instances.get(endpoint) ?? null;
  for (const session of state.sessions.values()) {
    if (session.endpoint !== endpoint) continue;
    session.instance ??= instance;
    if (session.instance !== instance) lose(state, session, nowMs, effects);
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
    if (state.pending.size > 0 && state.early.length < EARLY_EVENTS_MAX) state.early.push(event);
    return;
  }
  if (event.type === "outcome") {
    effects.push(...endOutcome(state, session, event, nowMs));
  } else {
    session.isSummarised = true;
    freeLatch(state, session.requestId);
    if (session.ended.size < session.groups) effects.push(reconcile(session));
  }
  dropIfDone(state, session);
}

function gap<P>(
  state: AdapterState<P>,
  event: EventOf<P, "gap">,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  state.latches.clear();
  if (event.cause === "restarted") loseOtherInstances(state, event.endpoint, nowMs, effects);
  for (const session of state.sessions.values()) {
    const isNamed = event.sessionIds.length === 0 || event.sessionIds.includes(session.sessionId);
    if (session.endpoint === event.endpoint && isNamed) effects.push(reconcile(session));
  }
}

function reconcile(session: Session): AdapterEffect<never> {
  return { type: "reconcile", endpoint: session.endpoint, sessionId: session.sessionId };
}

/** What time alone does: latches freed, groups lost, proofs erased. */
function expire<P>(state: AdapterState<P>, nowMs: number, effects: AdapterEffect<P>[]): void {
  freeFencedLatches(state, nowMs);
  for (const session of state.sessions.values()) {
    if (!isPast(state, session, nowMs)) continue;
    session.fencedAtMs ??= Math.min(nowMs, session.fenceAtMs);
    const isUp = state.link.kind === "up" && state.link.endpoint === session.endpoint;
    // The service ends the group itself (`stopped`) if it is there: let it say so (rule 13).
    const isWaiting = session.ended.size < session.groups && isUp;
    if (isWaiting && nowMs < session.fencedAtMs + LOST_GRACE_MS) continue;
    lose(state, session, nowMs, effects);
  }
  effects.push(...expireReady(state, nowMs));
}

function freeFencedLatches(state: AdapterState<unknown>, nowMs: number): void {
  for (const [priority, fence] of state.latches)
    if (isPast(state, fence, nowMs)) state.latches.delete(priority);
}

function freeLatch(state: AdapterState<unknown>, requestId: string): void {
  for (const [priority, holder] of state.latches)
    if (holder.requestId === requestId) state.latches.delete(priority);
}

/** Ends as lost whatever of the session has not ended, and forgets the session. */
function lose<P>(
  state: AdapterState<P>,
  session: Session,
  nowMs: number,
  effects: AdapterEffect<P>[],
): void {
  for (let groupIndex = 0; groupIndex < session.groups; groupIndex++) {
    if (session.ended.has(groupIndex)) continue;
    const ref: GroupRef = endGroup(state, session, groupIndex, nowMs);
    effects.push({ type: "lost", ref });
  }
  state.sessions.delete(sessionKey(session.endpoint, session.sessionId));
  freeLatch(state, session.requestId);
}

function dropIfDone(state: AdapterState<unknown>, session: Session): void {
  if (session.isSummarised && session.ended.size >= session.groups)
    state.sessions.delete(sessionKey(session.endpoint, session.sessionId));
}
