/**
 * The rules that end groups: each accepted group once, each proof once, none past its fence. Only
 * `rules.ts` and `open-sessions.ts` call them.
 */
import type { AdapterEffect, Fence, GroupRef, WireOutcome } from "./events.js";
import { withEntry, withoutEntries, withoutKey } from "./map-copies.js";
import type { AdapterState, OpenSession, Proof, ReadyResult, AdapterStep } from "./state.js";
import { earlierFence, groupKey, isPast, NEVER, READY_RESULTS_MAX, sessionKey } from "./state.js";

/** Ends a group by the service's outcome. A group that has ended already stays as it ended. */
export function endOutcome<P>(
  state: AdapterState<P>,
  session: OpenSession,
  event: WireOutcome<P>,
  nowMs: number,
): AdapterStep<P> {
  const { groupIndex, participants, payload } = event;
  if (groupIndex >= session.groups || session.ended.has(groupIndex)) return { state, effects: [] };
  const ended = new Set(session.ended).add(groupIndex);
  const key = sessionKey(session.endpoint, session.sessionId);
  const marked = { ...state, sessions: withEntry(state.sessions, key, { ...session, ended }) };
  const ref = refOf(session, groupIndex);
  if (!event.isProof)
    return keep(marked, [{ ...NEVER, result: { kind: "outcome", ref, payload } }]);
  const { fenceAtMs, fenceSlot } = session;
  const proofKey = `${session.slot}|${event.message}`;
  const proof: Proof<P> = { ref, key: proofKey, participants, payload, fenceAtMs, fenceSlot };
  const isFenced = event.isErased === true || isPast(state, session, nowMs);
  const step = endProof(marked, proof, isFenced);
  return event.isLate ? { ...step, effects: [{ kind: "late", ref }, ...step.effects] } : step;
}

function endProof<P>(state: AdapterState<P>, proof: Proof<P>, isFenced: boolean): AdapterStep<P> {
  const { ref, payload } = proof;
  if (isFenced) return { state, effects: [{ kind: "fenced", ref }] };
  if (!state.hasVerifyHook || isCovered(state, proof)) return keepProof(state, proof);
  const checking = withEntry(state.checking, groupKey(ref), proof);
  const nextFence = earlierFence(state.nextFence, proof);
  return { state: { ...state, checking, nextFence }, effects: [{ kind: "verify", ref, payload }] };
}

/** Forgets the sessions in `gone`, and ends each of their open groups as `lost`. */
export function endSessions<P>(
  state: AdapterState<P>,
  gone: readonly OpenSession[],
): AdapterStep<P> {
  if (gone.length === 0) return { state, effects: [] };
  const keys = new Set(gone.map(({ endpoint, sessionId }) => sessionKey(endpoint, sessionId)));
  const sessions = withoutEntries(state.sessions, (_session, key) => keys.has(key));
  const refs: GroupRef[] = [];
  for (const session of gone)
    for (let groupIndex = 0; groupIndex < session.groups; groupIndex++)
      if (!session.ended.has(groupIndex)) refs.push(refOf(session, groupIndex));
  const lost = refs.map((ref) => ({ ...NEVER, result: { kind: "lost", ref } as const }));
  const step = keep({ ...state, sessions }, lost);
  const counts = refs.map((ref) => ({ kind: "lost", ref }) as const);
  return { state: step.state, effects: [...counts, ...step.effects] };
}

/**
 * Takes the result of the node's own verification of a proof. Changes nothing when the proof is no
 * longer awaited, for example because its fence has passed.
 */
export function endVerified<P>(
  state: AdapterState<P>,
  ref: GroupRef,
  isValid: boolean,
): AdapterStep<P> {
  const proof = state.checking.get(groupKey(ref));
  if (proof === undefined) return { state, effects: [] };
  const checked = { ...state, checking: withoutKey(state.checking, groupKey(ref)) };
  if (isValid) return keepProof(checked, proof);
  return keep(checked, [{ ...NEVER, result: { kind: "refused", ref: proof.ref } }]);
}

/** Erases every proof whose fence has passed, and forgets the participants of such proofs. */
export function expireProofs<P>(state: AdapterState<P>, nowMs: number): AdapterStep<P> {
  if (!isPast(state, state.nextFence, nowMs)) return { state, effects: [] };
  const effects: AdapterEffect<P>[] = [];
  const isFenced = (fence: Fence) => isPast(state, fence, nowMs);
  const seen = withoutEntries(state.seen, isFenced);
  const checking = withoutEntries(state.checking, isFenced);
  for (const proof of state.checking.values())
    if (isFenced(proof)) effects.push({ kind: "fenced", ref: proof.ref });
  const ready = state.ready.filter((entry) => !isFenced(entry));
  for (const entry of state.ready)
    if (isFenced(entry)) effects.push({ kind: "fenced", ref: entry.result.ref });
  const rest = [...seen.values(), ...checking.values(), ...ready];
  const nextFence = rest.reduce(earlierFence, NEVER);
  return { state: { ...state, seen, checking, ready, nextFence }, effects };
}

/** Delivers every ready result, in the order in which the groups ended. */
export function takeReady<P>(state: AdapterState<P>): AdapterStep<P> {
  if (state.ready.length === 0) return { state, effects: [] };
  const effects = state.ready.map(({ result }) => ({ kind: "deliver", result }) as const);
  return { state: { ...state, ready: [] }, effects };
}

/** True when one earlier proof of the same slot and root has all participants of this proof. */
function isCovered<P>(state: AdapterState<P>, { key, participants }: Proof<P>): boolean {
  return state.seen.get(key)?.participants.some((each) => covers(each, participants)) ?? false;
}

function covers(all: Uint8Array, some: Uint8Array): boolean {
  return some.every((byte, index) => (byte & ~(all[index] ?? 0)) === 0);
}

function keepProof<P>(state: AdapterState<P>, proof: Proof<P>): AdapterStep<P> {
  const { ref, key, payload, fenceAtMs, fenceSlot } = proof;
  if (isCovered(state, proof))
    return keep(state, [{ ...NEVER, result: { kind: "duplicate", ref } }]);
  const earlier = state.seen.get(key);
  const isOpenEnded = fenceSlot === null || earlier?.fenceSlot === null;
  const seen = withEntry(state.seen, key, {
    // A copy: the decoded array may be a view into the buffer that also has the proof's bytes.
    participants: [...(earlier?.participants ?? []), proof.participants.slice()],
    // The latest fence of its proofs: until then a session may repeat one of them.
    fenceAtMs: Math.max(earlier?.fenceAtMs ?? fenceAtMs, fenceAtMs),
    fenceSlot: isOpenEnded ? null : (earlier?.fenceSlot ?? fenceSlot),
  });
  const nextFence = earlierFence(state.nextFence, proof);
  const result = { kind: "outcome", ref, payload } as const;
  return keep({ ...state, seen, nextFence }, [{ result, fenceAtMs, fenceSlot }]);
}

/** Adds results to those that the node can take. Beyond `READY_RESULTS_MAX`, drops the oldest. */
function keep<P>(state: AdapterState<P>, results: readonly ReadyResult<P>[]): AdapterStep<P> {
  if (results.length === 0) return { state, effects: [] };
  const all = [...state.ready, ...results];
  if (all.length <= READY_RESULTS_MAX) return { state: { ...state, ready: all }, effects: [] };
  const effects = all
    .slice(0, -READY_RESULTS_MAX)
    .map(({ result: { ref } }) => ({ kind: "dropped", ref }) as const);
  return { state: { ...state, ready: all.slice(-READY_RESULTS_MAX) }, effects };
}

function refOf(session: OpenSession, groupIndex: number): GroupRef {
  const { requestId, endpoint, sessionId, slot } = session;
  return { requestId, endpoint, sessionId, groupIndex, slot };
}
