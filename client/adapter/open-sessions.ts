/**
 * The rules that follow a session from its acceptance until its summary arrives or it is lost, and
 * that free the in-flight latch of its priority. Only `rules.ts` calls them.
 */
import type { AdapterEffect, EventOf } from "./events.js";
import { endOutcome, endSessions } from "./end-groups.js";
import { withChanges, withEntry, withoutEntries, withoutKey } from "./map-copies.js";
import type { AdapterState, OpenSession, AdapterStep } from "./state.js";
import { EARLY_EVENTS_MAX, inOrder, isUp, sessionKey } from "./state.js";

/** Opens the session of a submission that the service has accepted. */
export function accept<P>(
  state: AdapterState<P>,
  { requestId, endpoint, sessionId, fenceMs }: EventOf<P, "accepted">,
  nowMs: number,
): AdapterStep<P> {
  const submission = state.pending.get(requestId);
  if (submission === undefined) return { state, effects: [] };
  const key = sessionKey(endpoint, sessionId);
  const namesake = state.sessions.get(key);
  const session: OpenSession = {
    ...submission,
    // Counted from before the request was sent, so never later than the server's own fence.
    fenceAtMs: Math.min(submission.fenceAtMs, submission.sentAtMs + fenceMs),
    endpoint,
    sessionId,
    // Null while the stream is down: it belongs to the server's run that the stream finds (rule
    // 18).
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

/** Applies an outcome or a summary from the service. */
export function receive<P>(
  state: AdapterState<P>,
  event: EventOf<P, "outcome"> | EventOf<P, "summary">,
  nowMs: number,
): AdapterStep<P> {
  const key = sessionKey(event.endpoint, event.sessionId);
  const session = state.sessions.get(key);
  if (session === undefined) {
    // If no submission awaits its answer, the event is of an earlier run of the node, of a
    // submission that was given up, or of an ended session.
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
): AdapterStep<P> {
  if (session.isSummarised) return { state, effects: [] };
  const key = sessionKey(endpoint, sessionId);
  const sessions = withEntry(state.sessions, key, { ...session, isSummarised: true });
  const effects: AdapterEffect<P>[] = [{ kind: "summarised", endpoint, sessionId, durationMs }];
  if (session.ended.size < session.groups) effects.push(reconcile(session));
  return { state: freeLatch({ ...state, sessions }, session.requestId), effects };
}

/** Applies a gap: the stream has missed events, so the service is asked for the sessions' state. */
export function gap<P>(state: AdapterState<P>, event: EventOf<P, "gap">): AdapterStep<P> {
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

function reconcile({ endpoint, sessionId }: OpenSession): AdapterEffect<never> {
  return { kind: "reconcile", endpoint, sessionId };
}

/** Ends as lost the endpoint's sessions from other runs of the server than its stream has found. */
export function loseOtherRuns<P>(state: AdapterState<P>, endpoint: string): AdapterStep<P> {
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

/** Forgets the sessions, ends their open groups as lost, and frees their latches. */
export function lose<P>(state: AdapterState<P>, sessions: readonly OpenSession[]): AdapterStep<P> {
  return endSessions(
    sessions.reduce((current, { requestId }) => freeLatch(current, requestId), state),
    sessions,
  );
}

/** Frees the latches of all accepted submissions. Those without an answer keep theirs (rule 8). */
export function freeAnsweredLatches<P>(state: AdapterState<P>): AdapterState<P> {
  const isAnswered = ({ requestId }: { requestId: string }) => !state.pending.has(requestId);
  return { ...state, latches: withoutEntries(state.latches, isAnswered) };
}

/** Frees the latch that this submission has closed, if any. */
export function freeLatch<P>(state: AdapterState<P>, requestId: string): AdapterState<P> {
  const latches = withoutEntries(state.latches, (holder) => holder.requestId === requestId);
  return { ...state, latches };
}
