/**
 * The half of the adapter's state machine that ends groups: each accepted group once, each proof
 * once, none past its fence. Called by `transition` alone.
 */
import type { AdapterEffect, AdapterResult, Fence, GroupRef, WireOutcome } from "./events.js";
import type { AdapterState, Proof, Session } from "./state.js";
import { earlierFence, groupKey, isPast, NEVER, READY_RESULTS_MAX } from "./state.js";

/** An outcome from the wire; a group that has ended already is left as it ended. */
export function endOutcome<P>(
  state: AdapterState<P>,
  session: Session,
  event: WireOutcome<P>,
  nowMs: number,
): AdapterEffect<P>[] {
  const { groupIndex, participants, payload } = event;
  if (groupIndex >= session.groups || session.ended.has(groupIndex)) return [];
  session.ended.add(groupIndex);
  const ref = refOf(session, groupIndex);
  if (!event.isProof) return keep(state, { kind: "outcome", ref, payload });
  const { fenceAtMs, fenceSlot } = session;
  const key = `${String(session.slot)}|${event.message}`;
  const proof: Proof<P> = { ref, key, participants, payload, fenceAtMs, fenceSlot };
  const effects: AdapterEffect<P>[] = event.isLate ? [{ type: "late", ref }] : [];
  if (isPast(state, session, nowMs)) return [...effects, { type: "fenced", ref }];
  if (!state.hasVerifyHook || isCovered(state, proof))
    return [...effects, ...keepProof(state, proof)];
  state.checking.set(groupKey(ref), proof);
  state.nextFence = earlierFence(state.nextFence, proof);
  return [...effects, { type: "verify", ref, payload }];
}

/** Ends a group as lost. */
export function endLost<P>(
  state: AdapterState<P>,
  session: Session,
  groupIndex: number,
): AdapterEffect<P>[] {
  session.ended.add(groupIndex);
  const ref = refOf(session, groupIndex);
  return [{ type: "lost", ref }, ...keep(state, { kind: "lost", ref })];
}

/** The node's own check has answered; too late is no answer. */
export function endVerified<P>(
  state: AdapterState<P>,
  ref: GroupRef,
  isValid: boolean,
): AdapterEffect<P>[] {
  const proof = state.checking.get(groupKey(ref));
  if (proof === undefined) return [];
  state.checking.delete(groupKey(ref));
  return isValid ? keepProof(state, proof) : keep(state, { kind: "refused", ref: proof.ref });
}

/** Erases the proofs whose fence has passed, and the memory of them. */
export function expireProofs<P>(state: AdapterState<P>, nowMs: number): AdapterEffect<P>[] {
  if (!isPast(state, state.nextFence, nowMs)) return [];
  const effects: AdapterEffect<P>[] = [];
  for (const [key, seen] of state.seen) if (isPast(state, seen, nowMs)) state.seen.delete(key);
  for (const [key, proof] of state.checking) {
    if (!isPast(state, proof, nowMs)) continue;
    state.checking.delete(key);
    effects.push({ type: "fenced", ref: proof.ref });
  }
  state.ready = state.ready.filter((entry) => {
    if (!isPast(state, entry, nowMs)) return true;
    effects.push({ type: "fenced", ref: entry.result.ref });
    return false;
  });
  const rest = [...state.seen.values(), ...state.checking.values(), ...state.ready];
  state.nextFence = rest.reduce(earlierFence, NEVER);
  return effects;
}

/** Hands out what is ready, in the order in which it became so. */
export function takeReady<P>(state: AdapterState<P>): AdapterEffect<P>[] {
  const taken = state.ready;
  state.ready = [];
  return taken.map(({ result }) => ({ type: "deliver", result }));
}

/** The same slot and root, and one proof of it names everyone that this one names. */
function isCovered<P>(state: AdapterState<P>, { key, participants }: Proof<P>): boolean {
  return state.seen.get(key)?.participants.some((each) => covers(each, participants)) ?? false;
}

function covers(all: Uint8Array, some: Uint8Array): boolean {
  return some.every((byte, index) => (byte & ~(all[index] ?? 0)) === 0);
}

function keepProof<P>(state: AdapterState<P>, proof: Proof<P>): AdapterEffect<P>[] {
  const { ref, key, payload, fenceAtMs, fenceSlot } = proof;
  if (isCovered(state, proof)) return keep(state, { kind: "duplicate", ref });
  const seen = state.seen.get(key) ?? { participants: [], fenceAtMs, fenceSlot };
  // A copy: what came from the wire may be a view that holds the proof's bytes.
  seen.participants.push(proof.participants.slice());
  // Kept for as long as any session may still repeat it.
  seen.fenceAtMs = Math.max(seen.fenceAtMs, fenceAtMs);
  if (fenceSlot === null) seen.fenceSlot = null;
  state.seen.set(key, seen);
  state.nextFence = earlierFence(state.nextFence, proof);
  return keep(state, { kind: "outcome", ref, payload }, proof);
}

/** For as long as the fence says, when there is a proof in it. */
function keep<P>(
  state: AdapterState<P>,
  result: AdapterResult<P>,
  { fenceAtMs, fenceSlot }: Fence = NEVER,
): AdapterEffect<P>[] {
  state.ready.push({ result, fenceAtMs, fenceSlot });
  if (state.ready.length <= READY_RESULTS_MAX) return [];
  const oldest = state.ready.shift();
  return oldest === undefined ? [] : [{ type: "dropped", ref: oldest.result.ref }];
}

function refOf(session: Session, groupIndex: number): GroupRef {
  const { requestId, endpoint, sessionId, slot } = session;
  return { requestId, endpoint, sessionId, groupIndex, slot };
}
