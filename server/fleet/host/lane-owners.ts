/**
 * Who waits for the attempt of a shared lane: doors that adopt it and leave it, and its result, which
 * is sent to all and held. Part of `lane-share.ts`; pure.
 */
import { limits } from "../../limits.js";
import type { StopReason } from "../../work/group.js";
import type { Step } from "./lane-doors.js";
import {
  ignore,
  isSamePeer,
  news,
  recordOf,
  RUNS_MAX,
  stay,
  withLeft,
  withRecord,
} from "./lane-doors.js";
import type {
  HeldProof,
  OwnerUntil,
  SharedAttempt,
  ShareEffect,
  ShareEvent,
  ShareState,
} from "./lane-share-events.js";
import { leaseOf } from "./shared-report.js";

type EventOf<Kind extends ShareEvent["kind"]> = Extract<ShareEvent, { kind: Kind }>;

/** A door's fence, which is not later than any fence may be. */
export function fenceWithin(fenceAtMs: number, nowMs: number): number {
  return Math.min(fenceAtMs, nowMs + limits.fenceMsMax);
}

/** Uses the lease up: whatever was assigned under it is stale. */
export function burn(state: ShareState): Step {
  return news({ ...state, burnt: state.burnt + 1 });
}

/** Ends an attempt that the lane below does not have: its doors see a later lease, and no result. */
export function lose(state: ShareState, attempt: SharedAttempt): Step {
  const { state: next } = burn({ ...withoutOwners(state, attempt.owners), attempt: null });
  return news(next, { kind: "forget_work", attempt: attempt.number });
}

export function adopt(state: ShareState, event: EventOf<"adopt">, nowMs: number): Step {
  const { door, attempt: own, digest } = event;
  const { attempt } = state;
  const held = state.held.find((each) => each.digest === digest);
  if (held !== undefined) return answer(state, held, event, nowMs);
  const stage = attempt?.stage.kind;
  const isJoinable = stage === "fetching" || stage === "given";
  if (attempt?.assignment.digest !== digest || !isJoinable) return ignore(state, "unknown");
  const before = attempt.owners.find((owner) => isSamePeer(owner, door));
  const last = Math.max(recordOf(state, door).left, before?.attempt ?? 0);
  const fenceAtMs = fenceWithin(event.fenceAtMs, nowMs);
  if (own <= last) return ignore(state, "repeated");
  if (fenceAtMs <= nowMs) return ignore(state, "stale");
  // A door that adopts what it has already does not know its earlier attempt any more.
  const rest = attempt.owners.filter((owner) => owner !== before);
  // A door that starts again and again takes no more places than two.
  const past = rest.filter(({ id }) => id === door.id).slice(0, -(RUNS_MAX - 1));
  const others = rest.filter((owner) => !past.includes(owner));
  if (others.length >= limits.ownersMax) return ignore(state, "full");
  const owners = [...others, { ...door, attempt: own, fenceAtMs }];
  const next = withRecord(withoutOwners(state, past), recordOf(state, door));
  return news({ ...next, attempt: { ...attempt, owners } });
}

/** Sends the proof that is held, but not to a door that has just been sent it. */
function answer(state: ShareState, held: HeldProof, event: EventOf<"adopt">, nowMs: number): Step {
  const { door, attempt } = event;
  const recent = held.answered.filter(({ atMs }) => nowMs < atMs + limits.heldAnswerEveryMs);
  if (recent.some(({ door: id }) => id === door.id)) return ignore(state, "repeated");
  const answered = [...recent, { door: door.id, atMs: nowMs }];
  const next = {
    ...withLeft(state, door, attempt),
    held: state.held.map((each) => (each === held ? { ...held, answered } : each)),
  };
  const end: ShareEffect = { kind: "end", owner: { ...door, attempt }, result: held.result };
  return { ...stay(next), effects: [end] };
}

export function kill(state: ShareState, event: EventOf<"kill">): Step {
  const { door, lease, attempt: own, reason } = event;
  const { attempt, heard } = state;
  // Should the kill have overtaken the assignment or the adoption, that is stale from now on.
  const next = withLeft(state, door, own);
  const isOwner = (owner: OwnerUntil) => isSamePeer(owner, door) && owner.attempt === own;
  if (attempt?.owners.some(isOwner) === true) {
    const owners = attempt.owners.filter((owner) => !isOwner(owner));
    return remain(next, { ...attempt, owners }, reason);
  }
  const isAhead = attempt === null && heard !== null && lease === leaseOf(state);
  return isAhead ? burn(next) : ignore(next, "unknown");
}

/** Lets go the owners and the proofs whose fence has come. */
export function expire(state: ShareState, nowMs: number): Step {
  const held = state.held.filter(({ fenceAtMs }) => nowMs < fenceAtMs);
  const isGone = held.length < state.held.length;
  const rest = isGone ? { ...state, held } : state;
  const { attempt } = rest;
  const past = attempt?.owners.filter(({ fenceAtMs }) => fenceAtMs <= nowMs) ?? [];
  if (attempt === null || past.length === 0) return isGone ? news(rest) : stay(rest);
  const owners = attempt.owners.filter((owner) => !past.includes(owner));
  return remain(withoutOwners(rest, past), { ...attempt, owners }, "fence");
}

/** The attempt with the owners that remain; without any, it is killed. */
function remain(state: ShareState, attempt: SharedAttempt, reason: StopReason): Step {
  if (attempt.owners.length > 0) return news({ ...state, attempt });
  if (attempt.stage.kind === "fetching") return lose(state, attempt);
  const { number, laneLease } = attempt;
  const leaving: SharedAttempt = { ...attempt, stage: { kind: "leaving", reason } };
  return news(
    { ...state, attempt: leaving },
    { kind: "kill", lease: laneLease, attempt: number, reason },
    { kind: "forget_work", attempt: number },
  );
}

/**
 * Sends the result to every owner, and holds a proof until the last of their fences. The lane below
 * announces its next lease right after, so this is no news.
 */
export function ended(state: ShareState, event: EventOf<"ended">, nowMs: number): Step {
  const { attempt } = state;
  const { result } = event;
  if (attempt?.number !== event.attempt || attempt.stage.kind !== "given") return stay(state);
  const { owners, number, assignment } = attempt;
  const ends = owners.map(({ id, run, attempt: own }): ShareEffect => {
    return { kind: "end", owner: { id, run, attempt: own }, result };
  });
  const next: ShareState = {
    ...withoutOwners(state, owners),
    attempt: { ...attempt, owners: [], stage: { kind: "ended" } },
  };
  const effects = [...ends, { kind: "forget_work", attempt: number } as const];
  if (result.kind !== "proved") return { ...stay(next), effects };
  const fenceAtMs = Math.max(nowMs, ...owners.map((owner) => owner.fenceAtMs));
  const proof = { digest: assignment.digest, fenceAtMs, result, answered: [] };
  const others = next.held.filter(({ digest }) => digest !== proof.digest);
  return { ...stay({ ...next, held: [proof, ...others].slice(0, limits.heldProofsMax) }), effects };
}

/** Remembers that the attempts of these doors have left the lane. */
export function withoutOwners(state: ShareState, owners: readonly OwnerUntil[]): ShareState {
  return owners.reduce((next, owner) => withLeft(next, owner, owner.attempt), state);
}
