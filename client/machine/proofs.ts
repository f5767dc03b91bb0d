/** Rules 8, 9, 11 and 12 for proofs and results: what is kept for the node, and until when. */
import type { EventOf, Fence, GroupRef, WireOutcome } from "./events.js";
import type { Draft } from "./draft.js";
import { pushResult, queueOf, resultsOf, shiftResult } from "./result-queue.js";
import type { ReadyResult } from "./result-queue.js";
import type { Proof, Request } from "./state.js";
import { NEVER } from "./state.js";

/** Counts a proof as late or fenced, has it verified, or keeps it as a result or a duplicate. */
export function endProof<P>(
  draft: Draft<P>,
  request: Request,
  event: WireOutcome<P>,
  ref: GroupRef,
): void {
  if (event.isLate) draft.emit({ kind: "late", ref });
  if (event.isErased || draft.isFenced(request)) return draft.emit({ kind: "fenced", ref });
  const { participants, payload } = event;
  const { slot, fenceAtMs, fenceSlot, holdUntilMs } = request;
  // A proof of several messages has no message of its own, and never makes a duplicate.
  const key = event.message === "" ? null : `${slot}|${event.message}`;
  const proof = { ref, key, participants, payload, fenceAtMs, fenceSlot, holdUntilMs };
  if (!draft.next.hasVerifyHook || isCovered(draft, proof)) return keepProof(draft, proof);
  draft.next.verifying = new Map(draft.next.verifying).set(groupKey(ref), proof);
  awaitFence(draft, proof);
  draft.emit({ kind: "verify", ref, payload });
}

/** Takes the result of the node's own verification. A proof that is gone is ignored. */
export function endVerified<P>(
  draft: Draft<P>,
  { ref, isValid }: Pick<EventOf<P, "verified">, "ref" | "isValid">,
): void {
  const proof = draft.next.verifying.get(groupKey(ref));
  if (proof === undefined) return;
  const verifying = new Map(draft.next.verifying);
  verifying.delete(groupKey(ref));
  draft.next.verifying = verifying;
  if (isValid) keepProof(draft, proof);
  else keepEnd(draft, proof, "refused");
}

function groupKey({ requestId, groupIndex }: GroupRef): string {
  return `${requestId}|${groupIndex}`;
}

function keepProof<P>(draft: Draft<P>, proof: Proof<P>): void {
  if (isCovered(draft, proof)) return keepEnd(draft, proof, "duplicate");
  const { ref, payload, fenceAtMs, fenceSlot, holdUntilMs } = proof;
  remember(draft, proof);
  awaitFence(draft, proof);
  const result = { kind: "outcome", ref, payload } as const;
  keepResult(draft, { result, fenceAtMs, fenceSlot, holdUntilMs });
}

/** Keeps the participants of a proof, so that a later proof with no others is a duplicate. */
function remember<P>(draft: Draft<P>, proof: Proof<P>): void {
  const { key, fenceAtMs, fenceSlot } = proof;
  if (key === null) return;
  // A copy: the decoded array may be a view into the buffer that also has the proof's bytes.
  const participants = proof.participants.slice();
  draft.next.seen = [...draft.next.seen, { key, participants, fenceAtMs, fenceSlot }];
}

function keepEnd<P>(
  draft: Draft<P>,
  { ref, holdUntilMs }: Proof<P>,
  kind: "duplicate" | "refused",
): void {
  keepResult(draft, { ...NEVER, holdUntilMs, result: { kind, ref } });
}

/**
 * Returns true when one earlier proof of the same slot and root has all its participants, and its
 * fence has not passed.
 */
function isCovered<P>(draft: Draft<P>, { key, participants }: Proof<P>): boolean {
  return draft.next.seen.some(
    (earlier) =>
      earlier.key === key &&
      !draft.isPast(earlier) &&
      participants.every((byte, at) => (byte & ~(earlier.participants[at] ?? 0)) === 0),
  );
}

/** Adds a result to those that the node can take. Beyond the limit, the oldest is dropped. */
export function keepResult<P>(draft: Draft<P>, entry: ReadyResult<P>): void {
  draft.next.results = pushResult(draft.next.results, entry);
  if (draft.next.results.size <= draft.next.resultsMax) return;
  const shifted = shiftResult(draft.next.results);
  if (shifted === null) return;
  draft.next.results = shifted.rest;
  draft.emit({ kind: "dropped", ref: shifted.oldest.result.ref });
}

/** Answers `take` with the oldest results that it asks for and that are not held back. */
export function answerTake<P>(
  draft: Draft<P>,
  { requestIds, max = Infinity }: EventOf<P, "take">,
): void {
  const kept: ReadyResult<P>[] = [];
  let count = 0;
  for (const entry of resultsOf(draft.next.results)) {
    const { result, holdUntilMs } = entry;
    const isWanted = requestIds?.includes(result.ref.requestId) ?? true;
    if (count >= max || !isWanted || draft.nowMs < holdUntilMs) kept.push(entry);
    else {
      count++;
      draft.emit({ kind: "deliver", result });
    }
  }
  draft.next.results = queueOf(kept);
}

/** Drops every proof past its fence, and forgets the participants of such proofs. */
export function fenceProofs<P>(draft: Draft<P>): void {
  if (!draft.isPast(draft.next.nextFence)) return;
  const verifying = new Map(draft.next.verifying);
  for (const [key, proof] of verifying)
    if (draft.isPast(proof)) {
      verifying.delete(key);
      draft.emit({ kind: "fenced", ref: proof.ref });
    }
  const kept: ReadyResult<P>[] = [];
  for (const entry of resultsOf(draft.next.results))
    if (draft.isPast(entry)) draft.emit({ kind: "fenced", ref: entry.result.ref });
    else kept.push(entry);
  const seen = draft.next.seen.filter((proof) => !draft.isPast(proof));
  draft.next.verifying = verifying;
  draft.next.results = queueOf(kept);
  draft.next.seen = seen;
  draft.next.nextFence = NEVER;
  for (const fence of [...seen, ...verifying.values(), ...kept]) awaitFence(draft, fence);
}

function awaitFence<P>(draft: Draft<P>, fence: Fence): void {
  const { nextFence } = draft.next;
  draft.next.nextFence = {
    fenceAtMs: Math.min(nextFence.fenceAtMs, fence.fenceAtMs),
    fenceSlot: Math.min(nextFence.fenceSlot ?? Infinity, fence.fenceSlot ?? Infinity),
  };
}
