/**
 * The half of the adapter's state machine that ends groups: each accepted group once, each proof
 * once, none past its fence. Called by `transition` alone.
 */
import type { AdapterEffect, GroupRef, WireOutcome } from "./adapter-events.js";
import type { AdapterState, ReadyResult, Session } from "./adapter-tables.js";
import { isPast, isSameGroup, READY_RESULTS_MAX } from "./adapter-tables.js";

const NOBODY = new Uint8Array();

/** An outcome from the wire; a group that has ended already is left as it ended. */
export function endOutcome<P>(
  state: AdapterState<P>,
  session: Session,
  event: WireOutcome<P>,
  nowMs: number,
): AdapterEffect<P>[] {
  const { groupIndex } = event;
  if (groupIndex >= session.groups || session.ended.has(groupIndex)) return [];
  session.ended.add(groupIndex);
  const ref = refOf(session, groupIndex);
  const effects: AdapterEffect<P>[] = [];
  const entry: ReadyResult<P> = {
    fenceAtMs: session.fenceAtMs,
    fenceSlot: session.fenceSlot,
    result: { kind: "outcome", ref, payload: event.payload },
    isProof: event.isProof,
    isReady: true,
    seenKey: null,
    participants: NOBODY,
  };
  if (event.isProof) {
    if (event.isLate) effects.push({ type: "late", ref });
    if (isPast(state, session, nowMs)) return [...effects, { type: "fenced", ref }];
    const key = `${session.slot}|${event.message}`;
    if (remember(state, session, key, event.participants)) {
      entry.seenKey = key;
      entry.participants = event.participants;
      entry.isReady = !state.hasVerifyHook;
      if (state.hasVerifyHook) effects.push({ type: "verify", ref, payload: event.payload });
    } else {
      entry.result = { kind: "duplicate", ref };
      entry.isProof = false;
    }
  }
  keep(state, entry);
  return effects;
}

/** Ends a group as lost. */
export function endGroup<P>(
  state: AdapterState<P>,
  session: Session,
  groupIndex: number,
  nowMs: number,
): GroupRef {
  session.ended.add(groupIndex);
  const ref = refOf(session, groupIndex);
  keep(state, {
    fenceAtMs: nowMs,
    fenceSlot: null,
    result: { kind: "lost", ref },
    isProof: false,
    isReady: true,
    seenKey: null,
    participants: NOBODY,
  });
  return ref;
}

/** The node's own check has answered. */
export function endVerified<P>(state: AdapterState<P>, ref: GroupRef, isValid: boolean): void {
  const entry = state.ready.find((each) => !each.isReady && isSameGroup(each.result.ref, ref));
  if (entry === undefined) return;
  entry.isReady = true;
  if (isValid) return;
  entry.result = { kind: "refused", ref };
  entry.isProof = false;
  // A proof that is none must not make another one a duplicate.
  const seen = entry.seenKey === null ? undefined : state.seen.get(entry.seenKey);
  if (seen !== undefined)
    seen.participants = seen.participants.filter((each) => each !== entry.participants);
}

/** Erases the proofs whose fence has passed, and the memory of them. */
export function expireReady<P>(state: AdapterState<P>, nowMs: number): AdapterEffect<P>[] {
  const effects: AdapterEffect<P>[] = [];
  for (const [key, seen] of state.seen) if (isPast(state, seen, nowMs)) state.seen.delete(key);
  if (!state.ready.some((entry) => entry.isProof && isPast(state, entry, nowMs))) return effects;
  state.ready = state.ready.filter((entry) => {
    if (!entry.isProof || !isPast(state, entry, nowMs)) return true;
    effects.push({ type: "fenced", ref: entry.result.ref });
    return false;
  });
  return effects;
}

/** Hands out what is ready, in order of arrival. */
export function takeReady<P>(state: AdapterState<P>): AdapterEffect<P>[] {
  const taken = state.ready.filter((entry) => entry.isReady);
  state.ready = state.ready.filter((entry) => !entry.isReady);
  return taken.map(({ result }) => ({ type: "deliver", result }));
}

/** False if one proof of the same slot and root covers everyone already. */
function remember<P>(
  state: AdapterState<P>,
  session: Session,
  key: string,
  participants: Uint8Array,
): boolean {
  const seen = state.seen.get(key);
  if (seen === undefined) {
    const { fenceAtMs, fenceSlot } = session;
    state.seen.set(key, { fenceAtMs, fenceSlot, participants: [participants] });
    return true;
  }
  if (seen.participants.some((each) => covers(each, participants))) return false;
  seen.participants.push(participants);
  // Kept for as long as any session may still repeat it.
  seen.fenceAtMs = Math.max(seen.fenceAtMs, session.fenceAtMs);
  if (session.fenceSlot === null) seen.fenceSlot = null;
  return true;
}

function covers(all: Uint8Array, some: Uint8Array): boolean {
  return some.every((byte, index) => (byte & ~(all[index] ?? 0)) === 0);
}

function keep<P>(state: AdapterState<P>, entry: ReadyResult<P>): void {
  state.ready.push(entry);
  if (state.ready.length > READY_RESULTS_MAX) state.ready.shift();
}

function refOf(session: Session, groupIndex: number): GroupRef {
  const { requestId, endpoint, sessionId, slot } = session;
  return { requestId, endpoint, sessionId, groupIndex, slot };
}
